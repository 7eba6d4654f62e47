#include <stdio.h>

int main(void)
{
    puts("faultline-collector " FAULTLINE_VERSION);
    return 0;
}
