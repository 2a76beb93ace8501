/* A libnvidia-ml.so.1 that plays what a test writes into a file, so that the reader runs on a machine without a GPU.
 *
 * The file named by FAKE_NVML_FILE holds "key value" lines and is read at every call: total, free, reserved, utilization,
 * temperature, fails (an nvmlReturn_t for every device call), fails_load (the same for load and temperature only),
 * split (whether device 0 is in MIG mode).  WITHOUT_MEMORY_V2 and WITHOUT_MEMORY leave symbols out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_ARGUMENT = 2, NO_PERMISSION = 4, NOT_FOUND = 6 };

typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned int gpu, memory; } utilization;

static char gpu[2], mig;
static const char *const names[] = {"GPU-aaaa1111", "GPU-bbbb2222"};

static unsigned long long said(const char *wanted) {
    const char *path = getenv("FAKE_NVML_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char key[32];
    unsigned long long value, found = 0;
    if (!file) return 0;
    while (fscanf(file, "%31s %llu", key, &value) == 2)
        if (!strcmp(key, wanted)) found = value;
    fclose(file);
    return found;
}

static int answer(const void *device) {
    if (device == &gpu[0] && said("split")) return NO_PERMISSION; /* as the memory of a GPU that is split */
    return (int)said("fails");
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return (int)said("fails_init"); }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
    const char *path = getenv("FAKE_NVML_SHUT");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) { fputs("shut\n", file); fclose(file); }
    return OK;
}
const char *nvmlErrorString(int code) { (void)code; return "as the test wants"; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    if (index > 1) return INVALID_ARGUMENT;
    *device = &gpu[index];
    return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    if (!strcmp(uuid, names[0])) *device = &gpu[0];
    else if (!strcmp(uuid, names[1])) *device = &gpu[1];
    else if (!strcmp(uuid, "MIG-cccc3333")) *device = &mig;
    else return NOT_FOUND;
    return OK;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length) {
    snprintf(uuid, length, "%s", device == &gpu[0] ? names[0] : names[1]);
    return OK;
}
int nvmlDeviceGetMigMode(void *device, unsigned int *current, unsigned int *pending) {
    *current = *pending = device == &gpu[0] && said("split");
    return OK;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned int index, void **instance) {
    (void)device;
    if (index) return NOT_FOUND;
    *instance = &mig;
    return OK;
}

/* Each device's memory differs, so that a test sees which one was read. */
__attribute__((unused)) static unsigned long long total_of(const void *device) {
    return said("total") / (device == &mig ? 4 : device == &gpu[1] ? 2 : 1);
}
#ifndef WITHOUT_MEMORY
int nvmlDeviceGetMemoryInfo(void *device, memory_v1 *memory) {
    memory->total = total_of(device);
    memory->free = said("free");
    memory->used = memory->total - memory->free;
    return answer(device);
}
#endif
#ifndef WITHOUT_MEMORY_V2
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_v2 *memory) {
    memory->total = total_of(device);
    memory->free = said("free");
    memory->reserved = said("reserved");
    memory->used = memory->total - memory->free - memory->reserved;
    return answer(device);
}
#endif
int nvmlDeviceGetUtilizationRates(void *device, utilization *rates) {
    rates->gpu = (unsigned int)said("utilization");
    rates->memory = 0;
    return (int)said("fails_load") ? (int)said("fails_load") : answer(device);
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) {
    (void)sensor;
    *celsius = (unsigned int)said("temperature");
    return (int)said("fails_load") ? (int)said("fails_load") : answer(device);
}
