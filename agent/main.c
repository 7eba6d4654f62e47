#include <stdio.h>

int main(void)
{
    puts("faultline-agent " FAULTLINE_VERSION);
    return 0;
}
