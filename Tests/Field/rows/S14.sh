# S14: many mistakes in one long line cost milliseconds
# deadline: 2 s
# quick
python3 -c 'print("lab: {" + ",".join(["a: 1"] * 5000) + "}")' > lab.yaml
try validate lab.yaml > /dev/null
status_is 2
