@echo off
rem Opens the login page in the browser of this PC, prints the result and records it in the directory "data".
rem With the argument "scheduled", as in scheduled-task.xml, it waits for nobody and writes data\ccass.prom.
setlocal
cd /d "%~dp0"
if not exist data mkdir data
if not exist ccass.yml copy /y ccass.example.yml ccass.yml >nul
rem A file terminal.txt has the name of this terminal, one of evidence.terminals in ccass.yml.
set name=
if exist terminal.txt set /p name=<terminal.txt
set terminal=
if defined name set terminal=--terminal "%name%"
if "%~1"=="scheduled" goto scheduled

ccass-2fa-exporter.exe --config.file ccass.yml verify --browser --record %terminal%
set result=%errorlevel%
echo.
pause
exit /b %result%

:scheduled
ccass-2fa-exporter.exe --config.file ccass.yml verify --browser --record %terminal% --format prometheus --output data\ccass.prom
exit /b %errorlevel%
