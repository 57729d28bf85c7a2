# N18: what the Windows-like guest does not have fails by name
# deadline: 25 s
# quick
lab <<'END'
lab: stubs
guests: {win: {image: wine}}
tasks:
  - {name: powershell, on: win, run: 'powershell -Command "Write-Host hi"'}
  - {name: systeminfo, on: win, run: systeminfo}
  - {name: findstr, on: win, run: findstr x C:\nothing}
END
lab_run
for task in powershell systeminfo findstr; do outcome_is $task failed; done
