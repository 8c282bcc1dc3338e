/* A program as users of Apple's framework write it: classes by name, objc_msgSend through casts, an IOSurface in and
 * one out. It knows nothing of the emulator; built against GNUstep, it runs on it unchanged. */
#import <Foundation/Foundation.h>
#include <dlfcn.h>
#include <objc/message.h>
#include <objc/runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __APPLE__
#import <IOSurface/IOSurface.h>
#define FRAMEWORK "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/AppleNeuralEngine"
#else
typedef struct __IOSurface *IOSurfaceRef;
extern const void *kIOSurfaceWidth, *kIOSurfaceHeight, *kIOSurfaceBytesPerElement, *kIOSurfaceBytesPerRow, *kIOSurfaceAllocSize,
    *kIOSurfacePixelFormat;
extern IOSurfaceRef IOSurfaceCreate(const void *properties);
extern int IOSurfaceLock(IOSurfaceRef surface, uint32_t options, uint32_t *seed);
extern int IOSurfaceUnlock(IOSurfaceRef surface, uint32_t options, uint32_t *seed);
extern void *IOSurfaceGetBaseAddress(IOSurfaceRef surface);
extern void CFRelease(const void *object);
extern void objc_msgSend(void); /* as Apple declares it */
#define FRAMEWORK "libanemone_emulator.so"
#endif

enum { CHANNELS = 32, WIDTH = 64, BYTES = CHANNELS * WIDTH * 2, BLOB = 128 + CHANNELS * CHANNELS * 2 };

static NSString *program(void) {
    return @"program(1.3)\n"
            "[buildInfo = dict<string, string>({{\"coremlc-component-MIL\", \"3510.2.1\"}, {\"coremlc-version\", \"3505.4.1\"}})]\n"
            "{\n"
            "    func main<ios18>(tensor<fp16, [1, 32, 1, 64]> x) {\n"
            "        string pt = const()[name=string(\"pt\"), val=string(\"valid\")];\n"
            "        tensor<int32, [2]> st = const()[name=string(\"st\"), val=tensor<int32, [2]>([1,1])];\n"
            "        tensor<int32, [4]> pd = const()[name=string(\"pd\"), val=tensor<int32, [4]>([0,0,0,0])];\n"
            "        tensor<int32, [2]> dl = const()[name=string(\"dl\"), val=tensor<int32, [2]>([1,1])];\n"
            "        int32 gr = const()[name=string(\"gr\"), val=int32(1)];\n"
            "        tensor<fp16, [32, 32, 1, 1]> w = const()[name=string(\"w\"), val=tensor<fp16, [32, 32, 1, 1]>"
            "(BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64(64)))];\n"
            "        tensor<fp16, [1, 32, 1, 64]> y = conv(dilations=dl, groups=gr, pad=pd, pad_type=pt, strides=st, weight=w, "
            "x=x)[name=string(\"y\")];\n"
            "    } -> (y);\n"
            "}\n";
}

/* Twice the identity, as MIL Blob Storage. 2.0 in fp16 is 0x4000. */
static NSData *weights(void) {
    NSMutableData *data = [NSMutableData dataWithLength:BLOB];
    uint8_t *bytes = [data mutableBytes];
    bytes[0] = 1;
    bytes[4] = 2;
    memcpy(bytes + 64, "\xEF\xBE\xAD\xDE", 4);
    bytes[68] = 1;
    *(uint32_t *)(bytes + 72) = CHANNELS * CHANNELS * 2;
    *(uint32_t *)(bytes + 80) = 128;
    for (int i = 0; i < CHANNELS; i++) ((uint16_t *)(bytes + 128))[i * CHANNELS + i] = 0x4000;
    return data;
}

static IOSurfaceRef surface(size_t bytes) {
    NSNumber *size = [NSNumber numberWithUnsignedLong:bytes], *one = [NSNumber numberWithInt:1];
    NSDictionary *properties = [NSDictionary dictionaryWithObjectsAndKeys:size, (id)kIOSurfaceWidth, one, (id)kIOSurfaceHeight, one,
        (id)kIOSurfaceBytesPerElement, size, (id)kIOSurfaceBytesPerRow, size, (id)kIOSurfaceAllocSize, [NSNumber numberWithInt:0],
        (id)kIOSurfacePixelFormat, nil];
    return IOSurfaceCreate((const void *)properties);
}

static int failed(const char *stage, NSError *error) {
    fprintf(stderr, "%s: %s\n", stage, error ? [[error description] UTF8String] : "nil");
    return 1;
}

static NSString *writeSources(id model, NSData *mil, NSData *blob) {
    NSString *hex = ((id(*)(id, SEL))objc_msgSend)(model, @selector(hexStringIdentifier));
    NSString *folder = [NSTemporaryDirectory() stringByAppendingPathComponent:hex];
    NSString *below = [folder stringByAppendingPathComponent:@"weights"];
    [[NSFileManager defaultManager] createDirectoryAtPath:below withIntermediateDirectories:YES attributes:nil error:NULL];
    [mil writeToFile:[folder stringByAppendingPathComponent:@"model.mil"] atomically:YES];
    [blob writeToFile:[below stringByAppendingPathComponent:@"w.bin"] atomically:YES];
    return folder;
}

static int evaluate(id model) {
    Class Wrapper = NSClassFromString(@"_ANEIOSurfaceObject"), Request = NSClassFromString(@"_ANERequest");
    IOSurfaceRef in = surface(BYTES), out = surface(BYTES);
    IOSurfaceLock(in, 0, NULL);
    uint16_t *x = IOSurfaceGetBaseAddress(in);
    for (int i = 0; i < CHANNELS * WIDTH; i++) x[i] = 0x3e00; /* 1.5 */
    IOSurfaceUnlock(in, 0, NULL);

    id input = ((id(*)(Class, SEL, IOSurfaceRef))objc_msgSend)(Wrapper, @selector(objectWithIOSurface:), in);
    id output = ((id(*)(Class, SEL, IOSurfaceRef))objc_msgSend)(Wrapper, @selector(objectWithIOSurface:), out);
    NSNumber *zero = [NSNumber numberWithInt:0];
    id request = ((id(*)(Class, SEL, id, id, id, id, id, id, id))objc_msgSend)(Request,
        @selector(requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:),
        [NSArray arrayWithObject:input], [NSArray arrayWithObject:zero], [NSArray arrayWithObject:output],
        [NSArray arrayWithObject:zero], nil, nil, zero);
    NSError *error = nil;
    if (!((BOOL(*)(id, SEL, unsigned, id, id, NSError **))objc_msgSend)(model, @selector(evaluateWithQoS:options:request:error:), 21,
            [NSDictionary dictionary], request, &error))
        return failed("evaluate", error);

    IOSurfaceLock(out, 1, NULL);
    const uint16_t *y = IOSurfaceGetBaseAddress(out);
    int wrong = 0;
    for (int i = 0; i < CHANNELS * WIDTH; i++) wrong += y[i] != 0x4200; /* 3.0 */
    printf("y[0] = 0x%04x, %d wrong\n", y[0], wrong);
    IOSurfaceUnlock(out, 1, NULL);
    CFRelease(in);
    CFRelease(out);
    return wrong != 0;
}

static int run(void) {
    NSError *error = nil;
    NSData *mil = [program() dataUsingEncoding:NSUTF8StringEncoding], *blob = weights();
    NSDictionary *entry = [NSDictionary dictionaryWithObjectsAndKeys:[NSNumber numberWithInt:0], @"offset", blob, @"data", nil];
    NSDictionary *table = [NSDictionary dictionaryWithObject:entry forKey:@"@model_path/weights/w.bin"];
    id descriptor = ((id(*)(Class, SEL, id, id, id))objc_msgSend)(NSClassFromString(@"_ANEInMemoryModelDescriptor"),
        @selector(modelWithMILText:weights:optionsPlist:), mil, table, nil);
    if (!descriptor) return failed("descriptor", nil);
    id model = ((id(*)(Class, SEL, id))objc_msgSend)(NSClassFromString(@"_ANEInMemoryModel"), @selector(inMemoryModelWithDescriptor:),
        descriptor);
    if (!model) return failed("model", nil);
    NSString *folder = writeSources(model, mil, blob);
    BOOL (*stage)(id, SEL, unsigned, id, NSError **) = (BOOL(*)(id, SEL, unsigned, id, NSError **))objc_msgSend;
    if (!stage(model, @selector(compileWithQoS:options:error:), 21, [NSDictionary dictionary], &error)) return failed("compile", error);
    if (!stage(model, @selector(loadWithQoS:options:error:), 21, [NSDictionary dictionary], &error)) return failed("load", error);
    int status = evaluate(model);
    if (!((BOOL(*)(id, SEL, unsigned, NSError **))objc_msgSend)(model, @selector(unloadWithQoS:error:), 21, &error))
        return failed("unload", error);
    [[NSFileManager defaultManager] removeItemAtPath:folder error:NULL];
    return status;
}

/* As probes of the framework do: every class whose name begins as its do. */
static int countClasses(void) {
    int n = objc_getClassList(NULL, 0), found = 0;
    Class *classes = calloc((size_t)n + 1, sizeof *classes);
    n = objc_getClassList(classes, n);
    for (int i = 0; i < n; i++) {
        const char *name = class_getName(classes[i]);
        found += strncmp(name, "_ANE", 4) == 0 || strncmp(name, "ANE", 3) == 0;
    }
    free(classes);
    printf("%d classes of the framework\n", found);
    return found;
}

int main(void) {
    NSAutoreleasePool *pool = [[NSAutoreleasePool alloc] init];
    if (!dlopen(FRAMEWORK, RTLD_NOW)) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    int status = run();
    if (countClasses() < 43) status = failed("enumerating", nil); /* the names that are published */
    [pool release];
    return status;
}
