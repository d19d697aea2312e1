/* A disk that fails when it is told to: preloaded into the program, it looks into the file that STILLWIRE_TEST_DISK names.
   "full": nothing more can be written to the tables' files. "broken": nothing can be flushed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is(const char *state, int fd) {
    const char *path = getenv("STILLWIRE_TEST_DISK");
    char link[64], name[4096], said[16] = "";
    if (!path) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    if (!strstr(name, "tables.db") || strstr(name, "-shm")) return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    length = read(file, said, sizeof said - 1);
    close(file);
    return length > 0 && !strncmp(said, state, strlen(state));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
    if (is("full", fd)) { errno = ENOSPC; return -1; }
    return next(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int fdatasync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fdatasync");
    if (is("broken", fd)) { errno = EIO; return -1; }
    return next(fd);
}

int fsync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fsync");
    if (is("broken", fd)) { errno = EIO; return -1; }
    return next(fd);
}
