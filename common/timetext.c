#include "common/timetext.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

#define DAY_MS      ((int64_t)86400000)
#define YEAR_0_MS   (-719528 * DAY_MS)     /* 0000-01-01T00:00:00.000Z */
#define YEAR_END_MS (2932897 * DAY_MS - 1) /* 9999-12-31T23:59:59.999Z */

static const struct unit {
    const char *name;
    int64_t us;
} units[] = {
    {"d", 86400000000},
    {"h", 3600000000},
    {"m", 60000000},
    {"s", 1000000},
    {"ms", 1000},
    {"us", 1},
};

/* Days since 1970-01-01 and back in the proleptic Gregorian calendar: Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms". Years are counted from March, so that the leap day is the last of its year. */
static int64_t days_of_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

const char *timetext_rfc3339(int64_t wall_ms, char out[static TIMETEXT_RFC3339_SIZE])
{
    if (wall_ms < YEAR_0_MS) wall_ms = YEAR_0_MS;
    if (wall_ms > YEAR_END_MS) wall_ms = YEAR_END_MS;
    int64_t days = wall_ms / DAY_MS;
    int64_t rest = wall_ms % DAY_MS;
    if (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    int year, month, day;
    date_of_days(days, &year, &month, &day);
    snprintf(out, TIMETEXT_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
        (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
    return out;
}

/* Exactly `count` digits as a number; moves *text behind them. -1 if they are not there. */
static int fixed_digits(const char **text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)**text)) return -1;
        value = value * 10 + (*(*text)++ - '0');
    }
    return value;
}

/* ".123456" as thousandths, cut; 0 if there is no fraction, -1 for a point without digits. */
static int fraction_ms(const char **text)
{
    if (**text != '.') return 0;
    (*text)++;
    if (!isdigit((unsigned char)**text)) return -1;
    int value = 0;
    for (int scale = 100; isdigit((unsigned char)**text); (*text)++, scale /= 10)
        value += scale * (**text - '0');
    return value;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* "Z", "+02:00", "-0530" behind the time: minutes east of Greenwich. */
static bool parse_offset(const char **text, int *minutes)
{
    char sign = *(*text)++;
    if (sign == 'Z' || sign == 'z') {
        *minutes = 0;
        return true;
    }
    if (sign != '+' && sign != '-') return false;
    int hour = fixed_digits(text, 2);
    if (**text == ':') (*text)++;
    int minute = fixed_digits(text, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return false;
    *minutes = (sign == '-' ? -1 : 1) * (hour * 60 + minute);
    return true;
}

static bool parse_rfc3339(const char *text, int64_t *wall_ms)
{
    int year = fixed_digits(&text, 4);
    if (year < 0 || *text++ != '-') return false;
    int month = fixed_digits(&text, 2);
    if (month < 1 || month > 12 || *text++ != '-') return false;
    int day = fixed_digits(&text, 2);
    if (day < 1 || day > days_in_month(year, month)) return false;
    if (*text != 'T' && *text != 't' && *text != ' ') return false;
    text++;
    int hour = fixed_digits(&text, 2);
    if (hour < 0 || hour > 23 || *text++ != ':') return false;
    int minute = fixed_digits(&text, 2);
    if (minute < 0 || minute > 59 || *text++ != ':') return false;
    int second = fixed_digits(&text, 2); /* 60: a leap second, counted as the one that follows */
    if (second < 0 || second > 60) return false;
    int ms = fraction_ms(&text);
    int offset;
    if (ms < 0 || !parse_offset(&text, &offset) || *text != '\0') return false;
    *wall_ms = days_of_date(year, (unsigned)month, (unsigned)day) * DAY_MS +
               (int64_t)(hour * 60 + minute - offset) * 60000 + second * 1000 + ms;
    return true;
}

static bool parse_unix_seconds(const char *text, int64_t *wall_ms)
{
    int64_t seconds = 0;
    size_t digits = 0;
    for (; isdigit((unsigned char)*text) && digits <= 12; text++, digits++)
        seconds = seconds * 10 + (*text - '0');
    int ms = fraction_ms(&text);
    if (digits == 0 || digits > 12 || ms < 0 || *text != '\0') return false;
    *wall_ms = seconds * 1000 + ms;
    return true;
}

int timetext_parse(const char *text, int64_t now_ms, int64_t *wall_ms, struct error *err)
{
    if (strcmp(text, "now") == 0) {
        *wall_ms = now_ms;
        return 0;
    }
    if (text[0] == '-') {
        int64_t us = 0;
        if (timetext_parse_duration(text + 1, &us, err) != 0)
            return fail_context(err, "time \"%.40s\"", text);
        *wall_ms = now_ms - us / 1000;
        return 0;
    }
    if (parse_rfc3339(text, wall_ms) || parse_unix_seconds(text, wall_ms)) return 0;
    return fail(err, ERROR_INPUT,
        "\"%.40s\" is no time: write \"2026-11-23T13:45:00Z\", \"-10m\", \"now\" or Unix seconds", text);
}

int timetext_parse_duration(const char *text, int64_t *us, struct error *err)
{
    const char *at = text;
    int64_t whole = 0, fraction = 0, scale = 1;
    bool too_long = false;
    for (; isdigit((unsigned char)*at); at++)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *at - '0', &whole))
            too_long = true;
    bool number = at > text;
    if (number && *at == '.') {
        at++;
        number = isdigit((unsigned char)*at);
        for (; isdigit((unsigned char)*at); at++) {
            if (scale >= 100000000) continue; /* 10^8 days in us still fit; further digits do not count */
            fraction = fraction * 10 + (*at - '0');
            scale *= 10;
        }
    }
    if (!number)
        return fail(
            err, ERROR_INPUT, "\"%.40s\" is no duration: write a number and a unit, like 500ms or 2s", text);
    if (*at == ' ') at++;
    if (*at == '\0')
        return fail(err, ERROR_INPUT,
            "\"%.40s\" has no unit: write %.40sms, %.40ss, %.40sm, %.40sh or %.40sd", text, text, text, text,
            text, text);
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(at, units[i].name) != 0) continue;
        int64_t total;
        if (too_long || __builtin_mul_overflow(whole, units[i].us, &total) ||
            __builtin_add_overflow(total, fraction * units[i].us / scale, &total))
            return fail(err, ERROR_INPUT, "\"%.40s\" is too long a duration", text);
        *us = total;
        return 0;
    }
    return fail(err, ERROR_INPUT, "\"%.40s\" has an unknown unit \"%.20s\": the units are us, ms, s, m, h, d",
        text, at);
}

const char *timetext_duration(int64_t us, char out[static 32])
{
    if (us == 0) {
        snprintf(out, 32, "0s");
        return out;
    }
    const char *sign = us < 0 ? "-" : "";
    uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    size_t shortest = 32;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        uint64_t unit = (uint64_t)units[i].us;
        uint64_t whole = size / unit;
        uint64_t rest = size % unit * 1000;
        if (whole == 0 || rest % unit != 0) continue;
        char text[48];
        unsigned thousandths = (unsigned)(rest / unit);
        int n = snprintf(text, sizeof text, "%s%llu", sign, (unsigned long long)whole);
        if (thousandths > 0) {
            n += snprintf(text + n, sizeof text - (size_t)n, ".%03u", thousandths);
            while (text[n - 1] == '0') n--;
        }
        n += snprintf(text + n, sizeof text - (size_t)n, "%s", units[i].name);
        if ((size_t)n >= shortest) continue;
        shortest = (size_t)n;
        memcpy(out, text, (size_t)n + 1);
    }
    return out;
}

const char *timetext_about(int64_t ms, char out[static 32])
{
    uint64_t seconds = (ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms) / 1000;
    unsigned long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (seconds < 60)
        snprintf(out, 32, "%llu s", (unsigned long long)seconds);
    else if (minutes < 60)
        snprintf(out, 32, "%llu min", minutes);
    else if (hours < 24 && minutes % 60 != 0)
        snprintf(out, 32, "%llu h %llu min", hours, minutes % 60);
    else if (hours < 24)
        snprintf(out, 32, "%llu h", hours);
    else if (days < 3 && hours % 24 != 0)
        snprintf(out, 32, "%llu d %llu h", days, hours % 24);
    else
        snprintf(out, 32, "%llu d", days);
    return out;
}
