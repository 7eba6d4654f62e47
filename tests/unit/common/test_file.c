#include "common/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

static char scratch[SCRATCH_SIZE];

#define PATH_IN_SCRATCH(path, name)                                                                          \
    char path[SCRATCH_SIZE + 64];                                                                            \
    snprintf(path, sizeof path, "%s/%s", scratch, name)

static mode_t mode_of(const char *path)
{
    struct stat status = {0};
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void a_written_file_reads_back_behind_what_the_buffer_held(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "a");
    struct error err = {0};
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("one"), 0640, &err), 0);
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("two and more"), 0600, &err), 0);
    CU_ASSERT_EQUAL(mode_of(path), 0600);
    AUTO(buffer_fini) struct buffer out = {0};
    CU_ASSERT_EQUAL(buffer_format(&out, NULL, "got "), 0);
    CU_ASSERT_EQUAL(file_read(path, 100, &out, &err), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&out), "got two and more");
    PATH_IN_SCRATCH(fresh, "a.new");
    CU_ASSERT_EQUAL(access(fresh, F_OK), -1);
    scratch_remove(scratch);
}

static void a_file_beyond_the_bound_is_refused_and_the_buffer_kept(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "a");
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("12345"), 0600, NULL), 0);
    AUTO(buffer_fini) struct buffer out = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL(file_read(path, 5, &out, &err), 0);
    CU_ASSERT_EQUAL(file_read(path, 4, &out, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    CU_ASSERT_STRING_EQUAL(buffer_text(&out), "12345");
    CU_ASSERT_EQUAL(file_read("/nonexistent/x", 4, &out, &err), -1);
    CU_ASSERT_EQUAL(err.os_errno, ENOENT);
    CU_ASSERT_EQUAL(file_read(scratch, 4, &out, &err), -1);
    CU_ASSERT_EQUAL(err.os_errno, EISDIR);
    scratch_remove(scratch);
}

static void proc_files_read_though_they_claim_to_be_empty(void)
{
    AUTO(buffer_fini) struct buffer out = {0};
    CU_ASSERT_EQUAL(file_read("/proc/self/status", 65536, &out, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(buffer_text(&out), "Pid:"));
}

static void a_write_that_cannot_finish_leaves_the_old_content(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "a");
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("old"), 0600, NULL), 0);
    PATH_IN_SCRATCH(block, "a.new");
    CU_ASSERT_EQUAL(mkdir(block, 0700), 0); /* root too cannot create over a directory */
    struct error err = {0};
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("new"), 0600, &err), -1);
    AUTO(buffer_fini) struct buffer out = {0};
    CU_ASSERT_EQUAL(file_read(path, 100, &out, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&out), "old");
    scratch_remove(scratch);
}

static void a_link_left_beside_the_file_is_not_written_through(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "a");
    PATH_IN_SCRATCH(fresh, "a.new");
    PATH_IN_SCRATCH(victim, "victim");
    CU_ASSERT_EQUAL(file_write_atomic(victim, span_text("mine"), 0600, NULL), 0);
    CU_ASSERT_EQUAL(symlink(victim, fresh), 0);
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("new"), 0600, NULL), 0);
    AUTO(buffer_fini) struct buffer out = {0};
    CU_ASSERT_EQUAL(file_read(victim, 100, &out, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&out), "mine");
    scratch_remove(scratch);
}

static void directories_are_made_with_their_parents_and_existing_ones_are_fine(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "x/y//z/");
    struct error err = {0};
    CU_ASSERT_EQUAL(file_make_directory(path, 0700, &err), 0);
    CU_ASSERT_EQUAL(mode_of(path), 0700);
    CU_ASSERT_EQUAL(file_make_directory(path, 0755, &err), 0);
    CU_ASSERT_EQUAL(mode_of(path), 0700); /* what exists is not touched */
    PATH_IN_SCRATCH(shared, "shared");
    CU_ASSERT_EQUAL(file_make_directory(shared, 0770, &err), 0);
    CU_ASSERT_EQUAL(mode_of(shared), 0770); /* whatever the umask is */
    PATH_IN_SCRATCH(file, "file");
    CU_ASSERT_EQUAL(file_write_atomic(file, span_text(""), 0600, NULL), 0);
    CU_ASSERT_EQUAL(file_make_directory(file, 0700, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is no directory"));
    PATH_IN_SCRATCH(below, "file/below");
    CU_ASSERT_EQUAL(file_make_directory(below, 0700, &err), -1);
    scratch_remove(scratch);
}

static void a_lock_is_held_once_and_goes_with_its_descriptor(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "lock");
    struct error err = {0};
    int first = file_lock(path, &err);
    CU_ASSERT(first >= 0);
    CU_ASSERT_EQUAL(file_lock(path, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_AGAIN);
    pid_t child = fork();
    if (child == 0) _exit(file_lock(path, NULL) < 0 ? 0 : 1);
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    close(first);
    AUTO_CLOSE int second = file_lock(path, &err);
    CU_ASSERT(second >= 0);
    scratch_remove(scratch);
}

static void a_secret_that_others_may_read_comes_with_its_remedy(void)
{
    scratch_make(scratch);
    PATH_IN_SCRATCH(path, "secret");
    static const struct {
        mode_t mode;
        int result;
    } rows[] = {{0600, 0}, {0400, 0}, {0640, -1}, {0604, -1}, {0620, -1}, {0644, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CU_ASSERT_EQUAL(file_write_atomic(path, span_text("s"), rows[i].mode, NULL), 0);
        struct error err = {0};
        CU_ASSERT_EQUAL(file_check_private(path, &err), rows[i].result);
        if (rows[i].result != 0) CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "run chmod 600 "));
    }
    struct error err = {0};
    CU_ASSERT_EQUAL(file_check_private("/nonexistent", &err), -1);
    CU_ASSERT_EQUAL(err.os_errno, ENOENT);
    scratch_remove(scratch);
}

UNIT_MAIN("file",
    {"a written file reads back behind what the buffer held",
        a_written_file_reads_back_behind_what_the_buffer_held},
    {"a file beyond the bound is refused and the buffer kept",
        a_file_beyond_the_bound_is_refused_and_the_buffer_kept},
    {"proc files read though they claim to be empty", proc_files_read_though_they_claim_to_be_empty},
    {"a write that cannot finish leaves the old content", a_write_that_cannot_finish_leaves_the_old_content},
    {"a link left beside the file is not written through",
        a_link_left_beside_the_file_is_not_written_through},
    {"directories are made with their parents and existing ones are fine",
        directories_are_made_with_their_parents_and_existing_ones_are_fine},
    {"a lock is held once and goes with its descriptor", a_lock_is_held_once_and_goes_with_its_descriptor},
    {"a secret that others may read comes with its remedy",
        a_secret_that_others_may_read_comes_with_its_remedy})
