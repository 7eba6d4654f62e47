/* /proc/self/mountinfo (proc_pid_mountinfo(5)):
 *     36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
#include <string.h>

#include "agent/sample/parse.h"
#include "agent/sample/source.h"
#include "common/check.h"

/* Blanks, newlines and backslashes stand as \ooo. */
static bool unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        if (from[0] != '\\') {
            *to++ = *from++;
            continue;
        }
        unsigned code = 0;
        for (int i = 1; i <= 3; i++) {
            if (from[i] < '0' || from[i] > '7') return false;
            code = code * 8 + (unsigned)(from[i] - '0');
        }
        if (code == 0 || code > 255) return false;
        *to++ = (char)code;
        from += 4;
    }
    *to = '\0';
    return true;
}

static bool parse_fields(const char *c, struct mount_entry *entry)
{
    uint64_t id, parent, device_major, device_minor;
    if (!parse_u64(&c, &id) || !parse_u64(&c, &parent) || !parse_u64(&c, &device_major) || *c != ':')
        return false;
    c++;
    if (!parse_u64(&c, &device_minor) || device_major > UINT32_MAX || device_minor > UINT32_MAX) return false;
    entry->device_major = (unsigned)device_major;
    entry->device_minor = (unsigned)device_minor;
    if (!parse_word(&c, entry->root, sizeof entry->root) ||
        !parse_word(&c, entry->point, sizeof entry->point))
        return false;
    /* Options and any number of optional fields, up to the dash. */
    while (!parse_literal(&c, "- ")) {
        while (*c == ' ') c++;
        size_t n = strcspn(c, " \n");
        if (n == 0) return false;
        c += n;
    }
    return parse_word(&c, entry->type, sizeof entry->type) && unescape(entry->root) && unescape(entry->point);
}

bool mount_parse_line(const char **cursor, struct mount_entry *entry)
{
    const char *line = *cursor;
    *cursor = parse_next_line(line);
    return parse_line_is_whole(line) && parse_fields(line, entry);
}

static const char *const made_by_kernel[] = {
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "erofs",
    "cramfs",
    "fuse.lxcfs",
    "fuse.gvfsd-fuse",
    "fuse.portal",
    "none",
};

/* tmpfs under these belongs to the system and is small. */
static const char *const systems_own[] = {"/run", "/dev", "/sys", "/proc"};

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool mount_is_real(const struct mount_entry *entry)
{
    /* A container's root is an overlay, and the only view of its disk it has. */
    if (strcmp(entry->type, "overlay") == 0) return strcmp(entry->point, "/") == 0;
    for (size_t i = 0; i < ARRAY_COUNT(made_by_kernel); i++)
        if (strcmp(entry->type, made_by_kernel[i]) == 0) return false;
    if (strcmp(entry->type, "tmpfs") == 0)
        for (size_t i = 0; i < ARRAY_COUNT(systems_own); i++)
            if (is_below(entry->point, systems_own[i])) return false;
    return true;
}
