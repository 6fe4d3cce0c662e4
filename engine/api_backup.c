/* api_backup.c - quartet_restore: a database out of a backup, for programs that know quartet.h only. */
#include "api_internal.h"

#include "backup.h"
#include "base/mem.h"

int quartet_restore(const char *backup, const char *dir, char **errmsg)
{
    struct err err = ERR_INIT;
    quartet_status rc;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (backup == NULL || dir == NULL || dir[0] == '\0')
        rc = err_set(&err, QUARTET_MISUSE, "quartet_restore: a backup and a new directory are needed");
    else
        rc = backup_restore(env_posix(), backup, dir, &err);
    if (rc != QUARTET_OK && errmsg != NULL)
        *errmsg = mem_strdup(err.text);
    return (int)rc;
}
