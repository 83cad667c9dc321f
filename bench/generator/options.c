#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "wire.h"

Options want = {.name = "set", .connections = 1, .outstanding = 1, .keys = 1000, .bytes = 128, .seconds = 5,
                .warmup = 1, .patience = 5, .count = UINT64_MAX, .directory = "/bench"};

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void read_addresses(const char *text)
{
    char copy[2048], *rest, *one;
    snprintf(copy, sizeof copy, "%s", text);
    for (one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        char *colon = strrchr(one, ':');
        if (!colon || want.addresses == MOST_ADDRESSES) die("an address is HOST:PORT, at most %d: %s", MOST_ADDRESSES, one);
        struct sockaddr_in *address = &want.address[want.addresses++];
        *colon = 0;
        address->sin_family = AF_INET;
        address->sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, one, &address->sin_addr) != 1) die("not an IPv4 address: %s", one);
    }
}

static bool read_switch(const char *flag)
{
    bool *known = !strcmp(flag, "--null") ? &want.null : !strcmp(flag, "--existing") ? &want.existing : NULL;
    return known && (*known = true);
}

static void read_option(const char *flag, const char *value)
{
    if (!strcmp(flag, "--addresses")) read_addresses(value);
    else if (!strcmp(flag, "--operation")) want.name = value;
    else if (!strcmp(flag, "--connections")) want.connections = atoi(value);
    else if (!strcmp(flag, "--outstanding")) want.outstanding = atoi(value);
    else if (!strcmp(flag, "--seconds")) want.seconds = atof(value);
    else if (!strcmp(flag, "--warmup")) want.warmup = atof(value);
    else if (!strcmp(flag, "--rate")) want.rate = atof(value);
    else if (!strcmp(flag, "--patience")) want.patience = atof(value);
    else if (!strcmp(flag, "--slice")) want.slice = atof(value);
    else if (!strcmp(flag, "--count")) want.count = strtoull(value, NULL, 10);
    else if (!strcmp(flag, "--keys")) want.keys = atoi(value);
    else if (!strcmp(flag, "--bytes")) want.bytes = atoi(value);
    else if (!strcmp(flag, "--directory")) want.directory = value;
    else die("unknown option %s", flag);
}

void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (read_switch(argv[i])) continue;
        if (i + 1 == argc) die("%s needs a value", argv[i]);
        read_option(argv[i], argv[i + 1]);
        i++;
    }
    want.fill = !strcmp(want.name, "fill");
    want.operation = !strcmp(want.name, "set") ? OP_SET : !strcmp(want.name, "get") ? OP_GET
                   : want.fill || !strcmp(want.name, "create") ? OP_CREATE : 0;
    if (!want.operation) die("--operation is set, get, create or fill");
    if (want.fill) want.count = (uint64_t)want.keys;
    if (want.connections < 1 || want.connections > 500 || want.outstanding < 1 || want.keys < 1 || want.bytes < 0
        || want.bytes > (want.null ? MOST_BYTES_OF_NULL : MOST_BYTES) || want.seconds <= 0 || want.warmup < 0
        || want.rate < 0 || want.slice < 0 || want.patience < 0 || strlen(want.directory) > 100)
        die("an option is out of its range");
    if (want.count != UINT64_MAX) want.warmup = 0;      /* a count is a load, not the measurement of a steady state */
    if (!want.null && !want.addresses) die("--addresses or --null");
}
