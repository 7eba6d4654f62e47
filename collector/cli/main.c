#include <stdio.h>

int main(void)
{
    puts("faultline " FAULTLINE_VERSION);
    return 0;
}
