echo "shard $VMLAB_INDEX"
