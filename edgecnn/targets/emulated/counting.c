/* A plugin for QEMU's user mode: guest instructions between two marks.
 *
 * A mark is the system call getpgid(MARK), which does nothing. At each the plugin writes the
 * number of guest instructions so far, one line each, to the file that it was given:
 *
 *     qemu-aarch64 -plugin counting.so,out=FILE PROGRAM
 *
 * No header of QEMU's is needed (Debian packages none): the declarations below are those of
 * its plugin API version 1, docs/devel/tcg-plugins.rst of QEMU 7.2.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MARK 0x0BE7C4A0u /* as targets/emulated/counted.py has it: no process is called that */
#define GETPGID_AARCH64 155
#define GETPGID_ARM 132

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

typedef void (*block_translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*system_call)(qemu_plugin_id_t, unsigned int vcpu, int64_t number, uint64_t, uint64_t,
                            uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, block_translated);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op,
                                                     void *counter, uint64_t step);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, system_call);

EXPORT int qemu_plugin_version = 1;

static uint64_t instructions;
static FILE *out;

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &instructions,
                                             qemu_plugin_tb_n_insns(block));
}

static void on_system_call(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t first,
                           uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g,
                           uint64_t h)
{
    (void)id, (void)vcpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    bool asks = number == GETPGID_AARCH64 || number == GETPGID_ARM;
    if (asks && (uint32_t)first == MARK) {
        fprintf(out, "%" PRIu64 "\n", instructions);
        fflush(out);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0)
        return -1;
    out = fopen(argv[0] + 4, "w");
    if (out == NULL)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    return 0;
}
