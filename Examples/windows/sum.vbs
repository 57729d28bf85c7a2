WScript.Echo CInt(WScript.Arguments(0)) + CInt(WScript.Arguments(1))
