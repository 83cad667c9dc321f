/* A disk that fails on command, between one process and its files.
 *
 * Built by `faults/shim.py` and loaded into a server with LD_PRELOAD.  What is to fail stands in a file
 * (DISK_SHIM_CONTROL) that is mapped into memory, so that another process can change it at any moment; only
 * files below DISK_SHIM_DIRECTORY are touched.
 *
 *     full        writing is answered with ENOSPC.  The first write that meets the full disk is cut in half, as
 *                 a real one is: what was being written is torn.
 *     failing     writing is answered with EIO
 *     unsynced    fsync, fdatasync and the kernel's asynchronous fsync (io_submit) are answered with EIO
 *     delay_us    every sync takes that much longer
 *
 * Everything else, and everybody who does not ask libc, goes to the real disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    volatile int32_t full;
    volatile int32_t failing;
    volatile int32_t unsynced;
    volatile int32_t delay_us;
    volatile int32_t torn; /* set once a write was cut in half */
};

static struct control nothing;
static struct control *control = &nothing;
static char directory[PATH_MAX];
static size_t directory_length;

/* The function that this one stands before, looked up once. */
#define REAL(name)                                              \
    ({                                                          \
        static __typeof__(&name) found;                         \
        if (found == NULL)                                      \
            found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        found;                                                  \
    })

__attribute__((constructor)) static void prepare(void)
{
    const char *file = getenv("DISK_SHIM_CONTROL");
    const char *below = getenv("DISK_SHIM_DIRECTORY");
    if (file == NULL || below == NULL)
        return;
    int descriptor = open(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (mapped == MAP_FAILED || realpath(below, directory) == NULL)
        return;
    directory_length = strlen(directory);
    control = mapped;
}

static int is_ours(int descriptor)
{
    char link[64], target[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, target, sizeof target);
    return length > (ssize_t)directory_length && memcmp(target, directory, directory_length) == 0;
}

/* How many of `size` bytes may be written; -1 with errno set where none may. */
static ssize_t allowed(int descriptor, size_t size)
{
    if ((!control->full && !control->failing) || !is_ours(descriptor))
        return (ssize_t)size;
    if (control->full && !control->torn && size > 1) {
        control->torn = 1;
        return (ssize_t)(size / 2);
    }
    errno = control->full ? ENOSPC : EIO;
    return -1;
}

static int syncs(int descriptor)
{
    if ((control->unsynced || control->delay_us) && is_ours(descriptor)) {
        if (control->delay_us)
            usleep((useconds_t)control->delay_us);
        if (control->unsynced) {
            errno = EIO;
            return 0;
        }
    }
    return 1;
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    ssize_t may = allowed(descriptor, size);
    return may < 0 ? -1 : REAL(write)(descriptor, data, (size_t)may);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    ssize_t may = allowed(descriptor, size);
    return may < 0 ? -1 : REAL(pwrite)(descriptor, data, (size_t)may, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
{
    ssize_t may = allowed(descriptor, size);
    return may < 0 ? -1 : REAL(pwrite64)(descriptor, data, (size_t)may, offset);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    return allowed(descriptor, 1) < 0 ? -1 : REAL(writev)(descriptor, pieces, count);
}

ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset)
{
    return allowed(descriptor, 1) < 0 ? -1 : REAL(pwritev)(descriptor, pieces, count, offset);
}

int posix_fallocate(int descriptor, off_t offset, off_t size)
{
    return allowed(descriptor, 1) < 0 ? errno : REAL(posix_fallocate)(descriptor, offset, size);
}

int posix_fallocate64(int descriptor, off64_t offset, off64_t size)
{
    return allowed(descriptor, 1) < 0 ? errno : REAL(posix_fallocate64)(descriptor, offset, size);
}

int fsync(int descriptor)
{
    return syncs(descriptor) ? REAL(fsync)(descriptor) : -1;
}

int fdatasync(int descriptor)
{
    return syncs(descriptor) ? REAL(fdatasync)(descriptor) : -1;
}

/* The kernel's asynchronous fsync has no function of its own in libc: it is asked for by number.  It is let
 * happen, and told to have failed. */
long syscall(long number, ...)
{
    long argument[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    long result = REAL(syscall)(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    if (number == SYS_io_getevents && control->unsynced) {
        struct io_event *events = (struct io_event *)argument[3];
        for (long i = 0; i < result; i++)
            events[i].res = -EIO;
    }
    return result;
}
