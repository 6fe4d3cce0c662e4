/* kinds.h - the failures that the fault tests let the Nth call make, and how they may be told. */
#ifndef TESTS_FAULT_KINDS_H
#define TESTS_FAULT_KINDS_H

#include <errno.h>

#include "base/status.h"
#include "fault/disk.h"

static const struct fault_kind {
    const char *name;
    unsigned calls; /* enum disk_call; 0: memory */
    int error;
    bool persists, partial, others;
    quartet_status code, or_code; /* what may be told */
} fault_kinds[] = {
    {"memory", 0, 0, false, false, false, QUARTET_NOMEM, QUARTET_NOMEM},
    {"memory-persistent", 0, 0, true, false, false, QUARTET_NOMEM, QUARTET_NOMEM},
    {"memory-threads", 0, 0, false, false, true, QUARTET_NOMEM, QUARTET_NOMEM},
    {"read", DISK_READ, EIO, false, false, false, QUARTET_IO, QUARTET_IO},
    {"write", DISK_WRITE, EIO, false, false, false, QUARTET_IO, QUARTET_IO},
    {"write-half", DISK_WRITE, EIO, false, true, false, QUARTET_IO, QUARTET_FULL}, /* LMDB takes a short write for a full disk */
    {"write-short", DISK_WRITE, 0, false, true, false, QUARTET_IO, QUARTET_FULL},
    {"write-full", DISK_WRITE, ENOSPC, false, true, false, QUARTET_FULL, QUARTET_IO},
    {"sync", DISK_SYNC, EIO, false, false, false, QUARTET_IO, QUARTET_IO},
    {"open", DISK_OPEN, EMFILE, false, false, false, QUARTET_IO, QUARTET_CANTOPEN},
    {"name", DISK_NAME, EIO, false, false, false, QUARTET_IO, QUARTET_CANTOPEN},
    {"name-full", DISK_NAME, ENOSPC, false, false, false, QUARTET_FULL, QUARTET_CANTOPEN},
    {"size", DISK_SIZE, EIO, false, false, false, QUARTET_IO, QUARTET_IO},
    {"map", DISK_MAP, ENOMEM, false, false, false, QUARTET_NOMEM, QUARTET_NOMEM},
    {"thread", DISK_THREAD, EAGAIN, false, false, false, QUARTET_NOMEM, QUARTET_NOMEM},
};
#define FAULT_KINDS (sizeof fault_kinds / sizeof *fault_kinds)

#endif
