#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { MOST_ADDRESSES = 64, MOST_BYTES = 1 << 16, MOST_BYTES_OF_NULL = 512 };

/* What the command line asked for; set once, by read_options. */
typedef struct {
    const char *name;           /* set, get, create or fill */
    int operation;              /* its operation code; fill is made of creates */
    bool fill;                  /* create every key once, instead of fresh names under a directory per connection */
    bool existing;              /* the keys are there already: do not prepare them */
    bool null;                  /* against the responder, to learn the ceiling */
    int connections, outstanding, keys, bytes, addresses;
    double seconds, warmup, rate, slice;
    double patience;            /* seconds that replies still outstanding at the end are waited for */
    uint64_t count;             /* stop after so many operations; UINT64_MAX: never */
    const char *directory;
    struct sockaddr_in address[MOST_ADDRESSES];
} Options;

extern Options want;

void read_options(int argc, char **argv);

/* Prints one line to standard error and exits with status 2. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

#endif
