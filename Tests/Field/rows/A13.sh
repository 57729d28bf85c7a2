# A13: a link that is named is followed, and never copied as one that leads nowhere
# deadline: 20 s
# quick
echo content > file
ln -s file link
mkdir folder; echo inner > folder/inner; ln -s folder way
lab <<'END'
lab: links
guests: {lin: {image: busybox}}
tasks:
  - {name: one, on: lin, put: {./link: /root/link, ./way: /root/way}, run: cat /root/link /root/way/inner}
END
lab_run
status_is 0
holds out/tasks/one/lin/output content
holds out/tasks/one/lin/output inner
