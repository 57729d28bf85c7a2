@echo off
echo Hello from a batch file on %1
exit /b 7
