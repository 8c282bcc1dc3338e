/* host.h - which machine this is. */
#ifndef ANEMONE_BASE_HOST_H
#define ANEMONE_BASE_HOST_H

#include <stddef.h>

/* "Apple M4 Max", "AMD EPYC 7B13": the processor as the system names it; "" when it does not. */
void ane_host_processor(char *text, size_t size);
/* macOS: the build, "25D125"; elsewhere the kernel's release. */
void ane_host_os_build(char *text, size_t size);

#endif
