// primes LIMIT: prints the primes below LIMIT.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int limit = argc > 1 ? atoi(argv[1]) : 100;
    const char *gap = "";
    for (int number = 2; number < limit; number++) {
        int factor = 2;
        while (factor * factor <= number && number % factor != 0) factor++;
        if (factor * factor <= number) continue;
        printf("%s%d", gap, number);
        gap = " ";
    }
    putchar('\n');
    return 0;
}
