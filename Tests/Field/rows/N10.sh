# N10: `--on-failure stop` stops the other cells of a matrix too
# deadline: 25 s
# quick
lab <<'END'
lab: cells
matrix: {n: [1, 2, 3]}
guests: {lin: {image: busybox}}
tasks: [{name: one, on: lin, run: 'exit ${{ matrix.n }}'}]
END
lab_run --on-failure stop
status_is 1
[ "$(grep -l '"outcome" : "failed"' -r out --include results.json | wc -l)" = 1 ] || wrong "more than one cell has failed"
