@echo off
ver
