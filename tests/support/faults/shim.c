/* Preloaded into a process: counts the calls that change what lies in a folder, and at one of them kills the process,
 * or has it fail, once or, where it would take room, from then on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT = 0, KILL = -1 };

static char folder[4096];
static long seen, at;
static int action, lasting;

/* what: COUNT, KILL, or the number of an error; forever: whether a disk stays full. */
void fault_arm(const char *place, long number, int what, int forever)
{
    at = number;
    action = what;
    lasting = forever;
    seen = 0;
    snprintf(folder, sizeof folder, "%s", place);
}

long fault_count(void) { return seen; }

static int is_inside(const char *path)
{
    char whole[8192];
    if (!folder[0] || !path)
        return 0;
    if (path[0] != '/') {
        char here[4096];
        if (!getcwd(here, sizeof here))
            return 0;
        snprintf(whole, sizeof whole, "%s/%s", here, path);
        path = whole;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_open_inside(int descriptor)
{
    char link[64], path[4096];
    if (!folder[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_inside(path);
}

static int fails(int inside, int takes_room)
{
    if (!inside)
        return 0;
    long number = __sync_add_and_fetch(&seen, 1);
    if (number != at && !(lasting && takes_room && number > at && action > 0))
        return 0;
    if (action == KILL)
        kill(getpid(), SIGKILL);
    if (action <= 0)
        return 0;
    errno = action;
    return 1;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define CALL(result, name, declared, inside, takes_room, given) \
    result name declared \
    { \
        REAL(name); \
        return fails(inside, takes_room) ? -1 : real given; \
    }

CALL(int, rename, (const char *a, const char *b), is_inside(a) || is_inside(b), 0, (a, b))
CALL(int, renameat2, (int c, const char *a, int d, const char *b, unsigned int f), is_inside(a) || is_inside(b), 0,
     (c, a, d, b, f))
CALL(int, mkdir, (const char *a, mode_t m), is_inside(a), 1, (a, m))
CALL(int, rmdir, (const char *a), is_inside(a), 0, (a))
CALL(int, unlink, (const char *a), is_inside(a), 0, (a))
CALL(int, unlinkat, (int d, const char *a, int f), d == AT_FDCWD ? is_inside(a) : is_open_inside(d), 0, (d, a, f))
CALL(int, fsync, (int d), is_open_inside(d), 1, (d))
CALL(int, fdatasync, (int d), is_open_inside(d), 1, (d))
CALL(int, ftruncate64, (int d, off64_t n), is_open_inside(d), 1, (d, n))
CALL(int, fchmod, (int d, mode_t m), is_open_inside(d), 0, (d, m))
CALL(int, chmod, (const char *a, mode_t m), is_inside(a), 0, (a, m))
CALL(int, flock, (int d, int o), is_open_inside(d), 0, (d, o))
CALL(ssize_t, write, (int d, const void *b, size_t n), is_open_inside(d), 1, (d, b, n))
CALL(ssize_t, pwrite64, (int d, const void *b, size_t n, off64_t o), is_open_inside(d), 1, (d, b, n, o))

int posix_fallocate64(int d, off64_t o, off64_t n)
{
    REAL(posix_fallocate64);
    return fails(is_open_inside(d), 1) ? errno : real(d, o, n);
}

static mode_t mode_of(int flags, va_list rest)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    if (!real)
        real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return fails((flags & O_CREAT) && is_inside(path), 1) ? -1 : real(path, flags, mode);
}
