# Counts the primes of one shard of the numbers below 2000: shard N takes the Nth hundred.
from=$((($1 - 1) * 100)) count=0
n=$from
while [ $n -lt $((from + 100)) ]; do
    d=2
    while [ $((d * d)) -le $n ] && [ $((n % d)) -ne 0 ]; do d=$((d + 1)); done
    [ $n -ge 2 ] && [ $((d * d)) -gt $n ] && count=$((count + 1))
    n=$((n + 1))
done
echo "shard $1 of 20: $count primes"
