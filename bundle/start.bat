@echo off
rem Windows: double-click, or `start.bat` in a terminal. Installs the workbook in this folder, without a network, and starts it.
cd /d "%~dp0"
set /p WANTED=<wheels\made-for-python
py -%WANTED% start.py %*
if errorlevel 1 (
    echo If there is no Python %WANTED% here, install it, or ask for a bundle for yours.
    pause
)
