# Asks for a name and a password until they are right, then takes one command.
while :; do
    printf 'login: '
    read -r user
    printf 'Password: '
    read -r password
    [ "$password" = lovelace ] && break
    echo 'Login incorrect'
done
echo "Welcome, $user"
printf '$ '
read -r command
[ "$command" = logout ]
