# S18: what is no plain file is refused as a lab
# deadline: 5 s
# quick
mkfifo lab.yaml
for file in lab.yaml /dev/zero .; do
    try validate $file
    status_is 2
done
