#include "common/keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

static char scratch[SCRATCH_SIZE];
static char path[SCRATCH_SIZE + 16];

static void begin(const char *name)
{
    scratch_make(scratch);
    snprintf(path, sizeof path, "%s/%s", scratch, name);
}

static void write_text(const char *text, mode_t mode)
{
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, span_text(text), mode, NULL), 0);
}

/* Z85 may hold a #: this one does. */
#define KEY_1 "Y#o>lDGuv1aFnC%<qJY9^v1T:t$Hv@Rj2oa*4x!m"
#define KEY_2 "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define KEY_3 "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

static void a_pair_is_made_once_and_found_again(void)
{
    begin("agent.key");
    struct key_pair made = {0}, found = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL(keys_load(path, &found, &err), -1);
    CU_ASSERT_EQUAL(keys_load_or_make(path, &made, &err), 0);
    CU_ASSERT_EQUAL(keys_load_or_make(path, &found, &err), 0);
    CU_ASSERT_STRING_EQUAL(made.public_key, found.public_key);
    CU_ASSERT_STRING_EQUAL(made.secret_key, found.secret_key);
    CU_ASSERT_EQUAL(keys_check_public(made.public_key, NULL), 0);
    struct stat status;
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    key_pair_fini(&made);
    CU_ASSERT_EQUAL(made.secret_key[0], '\0');
    scratch_remove(scratch);
}

static void a_pair_that_others_may_read_is_refused_not_replaced(void)
{
    begin("agent.key");
    struct key_pair pair = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL(keys_load_or_make(path, &pair, NULL), 0);
    CU_ASSERT_EQUAL(chmod(path, 0644), 0);
    struct key_pair other = {0};
    CU_ASSERT_EQUAL(keys_load_or_make(path, &other, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_DENIED);
    CU_ASSERT_EQUAL(other.public_key[0], '\0');
    scratch_remove(scratch);
}

static void a_pair_file_that_makes_no_sense_says_where(void)
{
    begin("agent.key");
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "needs a line \"public KEY\""},
        {"public abc\n", ":1: a key has 40 characters"},
        {"public " KEY_1 "\nprivate " KEY_2 "\n", ":2: expected \"public\" or \"secret\""},
        {"public\n", ":1: expected two words"},
        {"public " KEY_1 "\n", "and a line \"secret KEY\""},
        {"public " KEY_1 "\nsecret " KEY_3 "\n", "does not belong to the secret key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(rows[i].text, 0600);
        struct key_pair pair = {0};
        struct error err = {0};
        CU_ASSERT_EQUAL(keys_load(path, &pair, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].says));
        CU_ASSERT_EQUAL(pair.secret_key[0], '\0');
    }
    scratch_remove(scratch);
}

static void the_published_pair_of_the_curve_specification_loads(void)
{
    begin("agent.key"); /* rfc.zeromq.org/spec/26 and zmq_z85_decode(3): a public and a secret key that belong
                           together */
    write_text("# comment\r\n\npublic Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n"
               "  secret\tD:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs # mine\n",
        0600);
    struct key_pair pair = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL(keys_load(path, &pair, &err), 0);
    CU_ASSERT_STRING_EQUAL(err.text, "");
    CU_ASSERT_STRING_EQUAL(pair.public_key, "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
    scratch_remove(scratch);
}

static void public_keys_are_checked_character_by_character(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(keys_check_public(KEY_2, &err), 0);
    CU_ASSERT_EQUAL(keys_check_public(KEY_1, &err), 0);
    CU_ASSERT_EQUAL(keys_check_public("", &err), -1);
    CU_ASSERT_EQUAL(keys_check_public(KEY_2 "x", &err), -1);
    CU_ASSERT_EQUAL(keys_check_public("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\"", &err), -1);
    CU_ASSERT_EQUAL(keys_check_public("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\xc3", &err), -1);
    CU_ASSERT_EQUAL(
        keys_check_public("########################################", &err), -1); /* beyond 32 bits */
}

static void a_book_binds_names_to_keys(void)
{
    begin("agents");
    struct key_book book = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL(key_book_load(path, &book, &err), 0);
    CU_ASSERT_EQUAL(book.count, 0);
    write_text("# who may speak\napp1 " KEY_1 "\n\n app2\t" KEY_2 "  # second\r\n", 0644);
    CU_ASSERT_EQUAL(key_book_load(path, &book, &err), 0);
    CU_ASSERT_EQUAL(book.count, 2);
    CU_ASSERT_STRING_EQUAL(key_book_host(&book, KEY_1), "app1");
    CU_ASSERT_STRING_EQUAL(key_book_host(&book, KEY_2), "app2");
    CU_ASSERT_PTR_NULL(key_book_host(&book, KEY_3));
    CU_ASSERT_PTR_NULL(key_book_host(&book, ""));
    key_book_fini(&book);
    scratch_remove(scratch);
}

static void a_broken_book_is_refused_as_a_whole(void)
{
    begin("agents");
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"app1 " KEY_1 "\napp2\n", ":2: expected two words"},
        {"app1 " KEY_1 " " KEY_2 "\n", ":1: expected two words"},
        {"app/1 " KEY_1 "\n", ":1: \"app/1\" is no host name"},
        {"app1 " KEY_1 "\n#\napp2 abc\n", ":3: a public key has 40 characters, not 3"},
        {"app1 " KEY_1 "\napp2 " KEY_2 "\napp3 " KEY_1 "\n", "app1 and app3 have the same key"},
        {"app1 " KEY_1 "\napp1 " KEY_2 "\n", "app1 has two keys"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(rows[i].text, 0644);
        struct key_book book = {0};
        struct error err = {0};
        CU_ASSERT_EQUAL(key_book_load(path, &book, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].says));
        CU_ASSERT_PTR_NULL(book.entries);
    }
    scratch_remove(scratch);
}

static void enrolling_adds_replaces_and_keeps_comments(void)
{
    begin("agents");
    struct error err = {0};
    CU_ASSERT_EQUAL(key_book_enroll(path, "app1", KEY_1, &err), 0);
    write_text("# ours\napp1 " KEY_1 "\napp10 " KEY_2, 0644); /* without a newline at the end */
    CU_ASSERT_EQUAL(key_book_enroll(path, "app1", KEY_3, &err), 0);
    CU_ASSERT_EQUAL(key_book_enroll(path, "app1", KEY_2, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "enrolled for app10 already"));
    CU_ASSERT_EQUAL(key_book_enroll(path, "app 2", KEY_1, &err), -1);
    CU_ASSERT_EQUAL(key_book_enroll(path, "app2", "short", &err), -1);
    AUTO(buffer_fini) struct buffer content = {0};
    CU_ASSERT_EQUAL(file_read(path, 1000, &content, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&content), "# ours\napp10 " KEY_2 "\napp1 " KEY_3 "\n");
    scratch_remove(scratch);
}

UNIT_MAIN("keys", {"a pair is made once and found again", a_pair_is_made_once_and_found_again},
    {"a pair that others may read is refused, not replaced",
        a_pair_that_others_may_read_is_refused_not_replaced},
    {"a pair file that makes no sense says where", a_pair_file_that_makes_no_sense_says_where},
    {"the published pair of the CURVE specification loads",
        the_published_pair_of_the_curve_specification_loads},
    {"public keys are checked character by character", public_keys_are_checked_character_by_character},
    {"a book binds names to keys", a_book_binds_names_to_keys},
    {"a broken book is refused as a whole", a_broken_book_is_refused_as_a_whole},
    {"enrolling adds, replaces and keeps comments", enrolling_adds_replaces_and_keeps_comments})
