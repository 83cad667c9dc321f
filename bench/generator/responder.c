/* The other side of `load --null`: answers every request at once with success, and keeps nothing.
 *
 * It is what a server would be that had no work to do, so the generator's figures against it are its ceiling.
 * It is no model of a server: no sessions, no keys, one zxid. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"
#include "responder.h"
#include "wire.h"

/* `out` holds the replies to everything `in` can ask for: the smallest request has 34 bytes, the largest reply
 * (a get of MOST_BYTES_OF_NULL) 604. */
enum { MOST_SOCKETS = 600, INPUT_BYTES = 1 << 16, OUTPUT_BYTES = INPUT_BYTES * 24 };

void respond(int listener, const char *data, int data_bytes)
{
    static char in[MOST_SOCKETS][INPUT_BYTES], out[OUTPUT_BYTES], connected[MOST_SOCKETS];
    static size_t held[MOST_SOCKETS];
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    int watch = epoll_create1(0);
    epoll_ctl(watch, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(watch, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int one = 1;
                fd = accept(listener, NULL, NULL);
                if (fd < 0 || fd >= MOST_SOCKETS) _exit(3);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = fd;
                epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            ssize_t got = recv(fd, in[fd] + held[fd], INPUT_BYTES - held[fd], 0);
            if (got <= 0) {
                close(fd);
                continue;
            }
            size_t end = held[fd] + (size_t)got, start = 0;
            char *p = out;
            while (end - start >= 4 && end - start - 4 >= (size_t)get_int(in[fd] + start)) {
                char *frame = in[fd] + start + 4, *head = p;
                start += 4 + (size_t)get_int(in[fd] + start);
                if (!connected[fd]) {
                    connected[fd] = 1;
                    memset(p, 0, 41);
                    put_int(put_int(p, 37) + 4, SESSION_TIMEOUT_MS);
                    put_int(p + 20, 16);
                    p += 41;
                    continue;
                }
                int op = get_int(frame + 4);
                memset(p, 0, 20);
                memcpy(p + 4, frame, 4);                    /* its xid */
                p += 20;
                if (op == OP_CREATE || op == OP_SYNC) p = put_bytes(p, frame + 12, get_int(frame + 8));
                if (op == OP_GET) p = put_bytes(p, data, data_bytes);
                if (op == OP_GET || op == OP_SET) p = (char *)memset(p, 0, STAT_BYTES) + STAT_BYTES;
                put_int(head, (int32_t)(p - head - 4));
            }
            held[fd] = end - start;
            memmove(in[fd], in[fd] + start, held[fd]);
            for (char *q = out; q < p;) {                   /* a blocking write is fine: nobody else is served */
                ssize_t sent = send(fd, q, (size_t)(p - q), MSG_NOSIGNAL);
                if (sent <= 0) break;
                q += sent;
            }
        }
    }
}
