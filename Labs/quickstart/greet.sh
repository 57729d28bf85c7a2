echo "$GREETING, from $VMLAB_GUEST"
