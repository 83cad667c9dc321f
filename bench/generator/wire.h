/* The few pieces of ZooKeeper's wire encoding ("jute") that a load generator needs: big-endian integers, and
 * byte strings behind their length.  A request is `length xid op ...`, a reply `length xid zxid err ...`. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { OP_CREATE = 1, OP_GET = 4, OP_SET = 5, OP_SYNC = 9, OP_CLOSE = -11 };
enum { ERR_NODE_EXISTS = -110, STAT_BYTES = 68, HEADER_BYTES = 16, SESSION_TIMEOUT_MS = 30000 };

static inline char *put_int(char *p, int32_t value)
{
    value = (int32_t)htobe32((uint32_t)value);
    memcpy(p, &value, 4);
    return p + 4;
}

static inline char *put_bytes(char *p, const char *bytes, int length)
{
    p = put_int(p, length);
    memcpy(p, bytes, (size_t)length);
    return p + length;
}

static inline int32_t get_int(const char *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return (int32_t)be32toh(value);
}

#endif
