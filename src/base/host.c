#include "base/host.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#ifdef __APPLE__
static void ask(const char *name, char *text, size_t size) {
    size_t n = size;
    text[0] = 0;
    if (sysctlbyname(name, text, &n, NULL, 0) != 0) text[0] = 0;
    text[size - 1] = 0;
}

void ane_host_processor(char *text, size_t size) {
    ask("machdep.cpu.brand_string", text, size);
}

void ane_host_os_build(char *text, size_t size) {
    ask("kern.osversion", text, size);
}
#else
/* The first "model name : ..." of /proc/cpuinfo; ARM processors have none there. */
void ane_host_processor(char *text, size_t size) {
    static const char key[] = "model name";
    char line[256];
    text[0] = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !text[0] && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, sizeof key - 1) != 0 || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
    }
    if (file) fclose(file);
    struct utsname names;
    if (!text[0] && uname(&names) == 0) snprintf(text, size, "%s", names.machine);
}

void ane_host_os_build(char *text, size_t size) {
    struct utsname names;
    snprintf(text, size, "%s", uname(&names) == 0 ? names.release : "");
}
#endif
