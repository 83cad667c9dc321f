/* A load generator that speaks ZooKeeper's client protocol: one thread, epoll, libc, nothing else.
 *
 * Each connection keeps K requests outstanding.  Replies must come back in the order of the requests, with the
 * xid that was sent, err == 0 and a body of the length the operation has; anything else is counted as an error,
 * because a server that answers fast and wrong must not win a comparison.  The latency of every reply goes into a
 * log-scaled histogram (64 steps per power of two, so a percentile is exact to 1.6 %).
 *
 * Two ways to press:
 *   closed loop (default)   a reply makes room for the next request.  Good for throughput.  A server that stands
 *                           still for a second delays only K requests per connection, so a tail is understated.
 *   --rate R                R requests a second are due at fixed instants, and latency counts from the instant a
 *                           request was due, sent or not.  This is the one to trust for a tail.
 *
 * The result is one line of JSON, the last one; with --slice S, before it, one line for every S seconds with the
 * whole histogram of that slice, so that somebody else can merge slices by what happened in them.
 *
 * What it does not do: it never reconnects.  A lost connection is a finding, it is counted (`lost`), and the
 * requests on it are counted as `unanswered`.
 *
 * --null measures this program itself against a responder of a few lines in a child process: what comes out is
 * the ceiling above which no result of it means anything.  In a real run `busy_share` (wall time not spent waiting
 * in epoll) and `cpu_us_per_operation` tell how far below that ceiling the run was.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "options.h"
#include "responder.h"
#include "wire.h"

enum { PATH_MAX_BYTES = 200, INPUT_BYTES = 1 << 18, KEYS_PER_DIRECTORY = 1000, PREPARE_OUTSTANDING = 100 };

typedef struct {
    int xid;
    int op;
    bool may_exist;
    uint64_t since_ns;      /* sent, or with --rate: due */
} Request;

typedef struct {
    int fd, number;
    bool alive, blocked;
    int next_xid;
    uint64_t created;       /* names used so far under this connection's directory */
    Request *ring;          /* outstanding requests, oldest first */
    int first, count;
    char *out;
    size_t out_start, out_end, out_size;
    char *in;
    size_t in_end;
} Connection;

static struct {
    Histogram latencies, slice;
    uint64_t slice_began_ns;
    uint64_t errors, unanswered, unsent, sent, last_reply_ns, longest_silence_ns, waiting_ns;
    int lost, first_error;
} seen;

static Connection *connections;
static int poller, timer = -1, ring_size;
static bool measuring;
static char payload[MOST_BYTES];
static uint64_t random_state = 88172645463325252ull;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t draw(void)      /* xorshift: which key is next */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* --- requests ------------------------------------------------------------------------------------------ */

static char *out_room(Connection *c, size_t bytes)
{
    if (c->out_start == c->out_end) c->out_start = c->out_end = 0;
    if (c->out_end + bytes > c->out_size) {
        c->out_size = (c->out_end + bytes) * 2;
        if (!(c->out = realloc(c->out, c->out_size))) die("no memory");
    }
    return c->out + c->out_end;
}

static void enqueue(Connection *c, int op, const char *path, bool may_exist, uint64_t since_ns)
{
    size_t most = 128 + PATH_MAX_BYTES + (size_t)want.bytes;
    char *start = out_room(c, most), *p = start + 4;
    p = put_int(p, c->next_xid);
    p = put_int(p, op);
    if (op != OP_CLOSE) p = put_bytes(p, path, (int)strlen(path));
    if (op == OP_GET) *p++ = 0;                             /* watch: no */
    if (op == OP_SET || op == OP_CREATE) p = put_bytes(p, payload, want.bytes);
    if (op == OP_SET) p = put_int(p, -1);                   /* any version */
    if (op == OP_CREATE) {
        p = put_int(put_int(p, 1), 31);                     /* one ACL: all rights for world:anyone */
        p = put_bytes(put_bytes(p, "world", 5), "anyone", 6);
        p = put_int(p, 0);                                  /* persistent */
    }
    put_int(start, (int32_t)(p - start - 4));
    c->out_end += (size_t)(p - start);
    c->ring[(c->first + c->count++) % ring_size] = (Request){c->next_xid, op, may_exist, since_ns};
    c->next_xid = c->next_xid == INT32_MAX ? 1 : c->next_xid + 1;
}

/* A thousand keys to a directory: a million children of one parent is a case of its own, and not this one. */
static void key_path(char path[PATH_MAX_BYTES], uint64_t key)
{
    snprintf(path, PATH_MAX_BYTES, "%s/d%04llu/k%07llu", want.directory,
             (unsigned long long)(key / KEYS_PER_DIRECTORY), (unsigned long long)key);
}

static void enqueue_operation(Connection *c, uint64_t since_ns)
{
    char path[PATH_MAX_BYTES];
    if (want.fill)
        key_path(path, seen.sent);
    else if (want.operation == OP_CREATE)
        snprintf(path, sizeof path, "%s/c%04d/%010llu", want.directory, c->number, (unsigned long long)c->created++);
    else
        key_path(path, draw() % (uint64_t)want.keys);
    enqueue(c, want.operation, path, false, since_ns);
    seen.sent++;
}

static void lose(Connection *c)
{
    if (!c->alive) return;
    c->alive = false;
    seen.lost++;
    seen.unanswered += (uint64_t)c->count;
    c->count = 0;
    close(c->fd);
}

static void watch_for(Connection *c, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, how, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void flush(Connection *c)
{
    while (c->alive && c->out_start < c->out_end) {
        ssize_t n = send(c->fd, c->out + c->out_start, c->out_end - c->out_start, MSG_NOSIGNAL);
        if (n > 0) {
            c->out_start += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (!c->blocked) watch_for(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            c->blocked = true;
            return;
        } else if (errno != EINTR) {
            lose(c);
            return;
        }
    }
    if (c->alive && c->blocked) watch_for(c, EPOLLIN, EPOLL_CTL_MOD);
    c->blocked = false;
}

/* --- replies ------------------------------------------------------------------------------------------- */

static bool body_is_right(const Request *r, const char *body, int length)
{
    switch (r->op) {
    case OP_SET:    return length == STAT_BYTES;
    case OP_GET:    return length == 4 + want.bytes + STAT_BYTES && get_int(body) == want.bytes;
    case OP_CREATE: case OP_SYNC: return length > 4 && get_int(body) == length - 4;
    default:        return true;
    }
}

static void judge(Connection *c, const char *frame, int length, uint64_t now)
{
    int xid = length >= 4 ? get_int(frame) : 0;
    if (length >= HEADER_BYTES && (xid == -1 || xid == -2)) return;     /* a watch event, a ping: none was asked */
    if (length < HEADER_BYTES || !c->count || xid != c->ring[c->first].xid) {
        seen.errors++;      /* out of order: what follows on this connection cannot be told apart any more */
        lose(c);
        return;
    }
    Request r = c->ring[c->first];
    c->first = (c->first + 1) % ring_size;
    c->count--;
    int err = get_int(frame + 12);
    bool fine = err == 0 ? body_is_right(&r, frame + HEADER_BYTES, length - HEADER_BYTES)
                         : r.may_exist && err == ERR_NODE_EXISTS;
    if (!fine) {
        seen.errors++;
        if (!seen.first_error) seen.first_error = err ? err : INT32_MIN;
    }
    if (!measuring) return;
    uint64_t ns = now > r.since_ns ? now - r.since_ns : 0;
    histogram_add(&seen.latencies, ns);
    histogram_add(&seen.slice, ns);
    if (now - seen.last_reply_ns > seen.longest_silence_ns) seen.longest_silence_ns = now - seen.last_reply_ns;
    seen.last_reply_ns = now;
}

static void receive(Connection *c)
{
    while (c->alive) {
        ssize_t n = recv(c->fd, c->in + c->in_end, INPUT_BYTES - c->in_end, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            lose(c);
            return;
        }
        uint64_t now = now_ns();
        size_t start = 0, room = INPUT_BYTES - c->in_end;
        c->in_end += (size_t)n;
        while (c->alive && c->in_end - start >= 4) {
            int length = get_int(c->in + start);
            if (length < 0 || length > INPUT_BYTES - 4) {
                seen.errors++;
                lose(c);
            } else if (c->in_end - start - 4 < (size_t)length) {
                break;
            } else {
                judge(c, c->in + start + 4, length, now);
                start += 4 + (size_t)length;
            }
        }
        c->in_end -= start;
        memmove(c->in, c->in + start, c->in_end);
        if ((size_t)n < room) return;
    }
}

/* --- the loop ------------------------------------------------------------------------------------------ */

static int alive(void)
{
    int n = 0;
    for (int i = 0; i < want.connections; i++) n += connections[i].alive;
    return n;
}

static void refill_closed(Connection *c)
{
    if (c->count == want.outstanding || seen.sent >= want.count) return;
    uint64_t now = now_ns();
    while (c->alive && c->count < want.outstanding && seen.sent < want.count) enqueue_operation(c, now);
    flush(c);
}

/* Sends whatever is due.  A request that finds no free place stays due, and its latency keeps growing. */
static uint64_t refill_rate(uint64_t next_due_ns, uint64_t step_ns, uint64_t end_ns)
{
    static int turn;
    uint64_t now = now_ns();
    int full = 0;
    while (next_due_ns <= now && next_due_ns < end_ns && full < want.connections && seen.sent < want.count) {
        Connection *c = &connections[turn++ % want.connections];
        if (!c->alive || c->count == want.outstanding) {
            full++;
            continue;
        }
        full = 0;
        enqueue_operation(c, next_due_ns);
        next_due_ns += step_ns;
    }
    for (int i = 0; i < want.connections; i++)
        if (connections[i].out_start < connections[i].out_end && !connections[i].blocked) flush(&connections[i]);
    if (next_due_ns > now) {
        struct itimerspec at = {.it_value = {(time_t)(next_due_ns / 1000000000ull), (long)(next_due_ns % 1000000000ull)}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    }
    return next_due_ns;
}

static void turn_once(int wait_ms, bool refill)
{
    struct epoll_event events[256];
    uint64_t before = now_ns();
    int n = epoll_wait(poller, events, 256, wait_ms);
    seen.waiting_ns += now_ns() - before;
    for (int i = 0; i < n; i++) {
        Connection *c = events[i].data.ptr;
        if (!c) {           /* the timer: refill_rate comes next anyway */
            uint64_t ticks;
            if (read(timer, &ticks, 8) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
            continue;
        }
        if (c->alive && (events[i].events & EPOLLOUT)) flush(c);
        if (c->alive && (events[i].events & ~(uint32_t)EPOLLOUT)) receive(c);
        if (refill && c->alive) refill_closed(c);
    }
}

static void drain(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    for (;;) {
        int waiting = 0;
        for (int i = 0; i < want.connections; i++) waiting += connections[i].alive ? connections[i].count : 0;
        if (!waiting || now_ns() > end) break;
        turn_once(20, false);
    }
    for (int i = 0; i < want.connections; i++)
        if (connections[i].alive) seen.unanswered += (uint64_t)connections[i].count;
}

/* One line of JSON, and the next slice begins.  Instants are of CLOCK_MONOTONIC, so that whoever reads them can
 * lay them beside what it saw itself. */
static void end_slice(void)
{
    uint64_t now = now_ns();
    const char *between = "";
    printf("{\"from_s\": %.3f, \"to_s\": %.3f, \"latencies_us\": [", (double)seen.slice_began_ns / 1e9, (double)now / 1e9);
    for (int i = 0; i < BUCKETS; i++)
        if (seen.slice.buckets[i]) {
            printf("%s[%.1f, %llu]", between, histogram_middle_us(i), (unsigned long long)seen.slice.buckets[i]);
            between = ", ";
        }
    puts("]}");
    memset(&seen.slice, 0, sizeof seen.slice);
    seen.slice_began_ns = now;
}

static uint64_t press(double seconds)       /* returns the wall time it took, in ns */
{
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), due = start, now;
    uint64_t step = want.rate > 0 ? (uint64_t)(1e9 / want.rate) : 0;
    if (!step)
        for (int i = 0; i < want.connections; i++) refill_closed(&connections[i]);
    while ((now = now_ns()) < end && alive()) {
        if (step) due = refill_rate(due, step, end);
        if (seen.sent >= want.count && measuring && seen.latencies.samples + seen.unanswered >= want.count) break;
        turn_once(20, !step);
        if (measuring && want.slice > 0 && (double)(now - seen.slice_began_ns) / 1e9 >= want.slice) end_slice();
    }
    if (step) due = refill_rate(due, step, end);        /* what fell due since the last turn */
    if (step && due < end) seen.unsent = (end - due) / step;
    return now_ns() - start;
}

/* --- before and after ---------------------------------------------------------------------------------- */

static void open_connection(Connection *c, int number)
{
    struct sockaddr_in *to = &want.address[number % want.addresses];
    int one = 1;
    c->number = number;
    c->next_xid = 1;
    c->alive = true;
    c->ring = calloc((size_t)ring_size, sizeof *c->ring);
    c->in = malloc(INPUT_BYTES);
    if (!c->ring || !c->in) die("no memory");
    if ((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) die("socket: %s", strerror(errno));
    struct timeval patience = {10, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)to, sizeof *to))
        die("connect to port %d: %s", ntohs(to->sin_port), strerror(errno));
    /* protocol 0, no zxid seen, timeout, no session, an empty password of 16 bytes, not read-only */
    char hello[49] = {0}, reply[64];
    put_int(hello, 45);
    put_int(hello + 16, SESSION_TIMEOUT_MS);
    put_int(hello + 28, 16);
    if (send(c->fd, hello, 49, MSG_NOSIGNAL) != 49) die("cannot send the connect request");
    if (recv(c->fd, reply, 4, MSG_WAITALL) != 4) die("no reply to the connect request");
    int length = get_int(reply);
    if (length < 36 || length > 60 || recv(c->fd, reply, (size_t)length, MSG_WAITALL) != length)
        die("strange reply to the connect request (length %d)", length);
    if (get_int(reply + 4) <= 0) die("the server refused the session");
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    watch_for(c, EPOLLIN, EPOLL_CTL_ADD);
}

static void ask(Connection *c, int op, const char *path)
{
    while (c->alive && c->count == PREPARE_OUTSTANDING) turn_once(1000, false);
    if (!c->alive) die("connection lost while preparing");
    enqueue(c, op, path, op == OP_CREATE, now_ns());
    if (c->count == PREPARE_OUTSTANDING) flush(c);
}

static void settle(void)
{
    for (int i = 0; i < want.connections; i++) flush(&connections[i]);
    drain(60);
    if (seen.lost || seen.errors || seen.unanswered)
        die("preparing failed: %d connections lost, %llu errors (first %d), %llu unanswered", seen.lost,
            (unsigned long long)seen.errors, seen.first_error, (unsigned long long)seen.unanswered);
}

/* All by one connection, because creates of different connections have no order among them: a child could
 * come before its parent. */
static void prepare(void)
{
    char path[PATH_MAX_BYTES];
    Connection *c = &connections[0];
    bool own_names = want.operation == OP_CREATE && !want.fill;
    if (!want.existing) ask(c, OP_CREATE, want.directory);
    for (int i = 0; own_names && i < want.connections; i++) {
        snprintf(path, sizeof path, "%s/c%04d", want.directory, i);
        ask(c, OP_CREATE, path);
    }
    for (int key = 0; !want.existing && !own_names && key < want.keys; key++) {
        if (key % KEYS_PER_DIRECTORY == 0) {
            snprintf(path, sizeof path, "%s/d%04d", want.directory, key / KEYS_PER_DIRECTORY);
            ask(c, OP_CREATE, path);
        }
        if (want.fill) continue;
        key_path(path, (uint64_t)key);
        ask(c, OP_CREATE, path);
    }
    settle();
    /* A follower may not have applied these yet; after a sync it has, so a get there cannot miss a key. */
    for (int i = 0; i < want.connections; i++) ask(&connections[i], OP_SYNC, "/");
    settle();
}

/* --- the ceiling -------------------------------------------------------------------------------------- */

static pid_t start_responder(void)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof want.address[0];
    want.address[0] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&want.address[0], size) || listen(listener, 512)) die("cannot listen");
    getsockname(listener, (struct sockaddr *)&want.address[0], &size);
    want.addresses = 1;
    pid_t child = fork();
    if (child < 0) die("fork: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        respond(listener, payload, want.bytes);
    }
    close(listener);
    return child;
}

/* --- the result --------------------------------------------------------------------------------------- */

static void report(uint64_t wall_ns, double cpu)
{
    const Histogram *latencies = &seen.latencies;
    double wall = (double)wall_ns / 1e9;
    uint64_t answered = latencies->samples;
    printf("{\"operation\": \"%s\", \"connections\": %d, \"outstanding\": %d, \"bytes\": %d, \"keys\": %d, ", want.name,
           want.connections, want.outstanding, want.bytes, want.keys);
    printf("\"null\": %s, \"rate\": %.0f, \"wall_s\": %.3f, \"sent\": %llu, ", want.null ? "true" : "false", want.rate, wall,
           (unsigned long long)seen.sent);
    printf("\"answered\": %llu, \"throughput\": %.1f, ", (unsigned long long)answered, (double)answered / wall);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, ", histogram_percentile_us(latencies, 0.5),
           histogram_percentile_us(latencies, 0.99), histogram_percentile_us(latencies, 0.999));
    printf("\"max_us\": %.1f, \"longest_silence_ms\": %.1f, ", (double)latencies->max_ns / 1000,
           (double)seen.longest_silence_ns / 1e6);
    printf("\"errors\": %llu, \"first_error\": %d, \"lost\": %d, ", (unsigned long long)seen.errors, seen.first_error,
           seen.lost);
    printf("\"unanswered\": %llu, \"unsent\": %llu, ", (unsigned long long)seen.unanswered, (unsigned long long)seen.unsent);
    printf("\"cpu_s\": %.3f, \"cpu_share\": %.3f, \"busy_share\": %.3f, \"cpu_us_per_operation\": %.3f}\n", cpu, cpu / wall,
           1 - (double)seen.waiting_ns / (double)wall_ns, answered ? cpu * 1e6 / (double)answered : 0);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    ring_size = want.outstanding > PREPARE_OUTSTANDING ? want.outstanding : PREPARE_OUTSTANDING;
    pid_t responder = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);       /* whoever started this is gone: nobody would read the result */
    for (int i = 0; i < want.bytes; i++) payload[i] = (char)('a' + draw() % 26);
    if (want.null) responder = start_responder();
    if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll_create1: %s", strerror(errno));
    if (want.rate > 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event)) die("timer: %s", strerror(errno));
    }
    if (!(connections = calloc((size_t)want.connections, sizeof *connections))) die("no memory");
    for (int i = 0; i < want.connections; i++) open_connection(&connections[i], i);
    prepare();
    if (want.warmup > 0) press(want.warmup);
    seen.waiting_ns = 0;
    seen.last_reply_ns = seen.slice_began_ns = now_ns();
    measuring = true;
    double cpu = cpu_seconds();
    uint64_t wall = press(want.seconds);
    cpu = cpu_seconds() - cpu;
    uint64_t waited = seen.waiting_ns;
    if (now_ns() - seen.last_reply_ns > seen.longest_silence_ns) seen.longest_silence_ns = now_ns() - seen.last_reply_ns;
    measuring = want.rate > 0;      /* with a rate, a reply that comes late is the very thing that is looked for */
    drain(want.patience);
    measuring = false;
    if (want.slice > 0) end_slice();
    seen.waiting_ns = waited;
    for (int i = 0; i < want.connections; i++)
        if (connections[i].alive && connections[i].count < want.outstanding) {
            enqueue(&connections[i], OP_CLOSE, "", true, now_ns());
            flush(&connections[i]);
        }
    if (responder) {
        kill(responder, SIGKILL);
        waitpid(responder, NULL, 0);
    }
    report(wall, cpu);
    return seen.errors || seen.lost || seen.unanswered ? 1 : 0;
}
