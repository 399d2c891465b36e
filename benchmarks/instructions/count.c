/* A plugin of QEMU that counts the instructions a program executes. Its few declarations follow qemu-plugin.h, version 1. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t Id;
struct qemu_plugin_tb;
extern void qemu_plugin_register_vcpu_tb_trans_cb(Id id, void (*)(Id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *at, uint64_t by);
extern void qemu_plugin_register_atexit_cb(Id id, void (*)(Id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

enum { ADD_U64 = 0 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t executed;

static void translated(Id id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void ended(Id id, void *unused) {
  (void)id, (void)unused;
  fprintf(stderr, "executed %" PRIu64 "\n", executed);
}

__attribute__((visibility("default"))) int qemu_plugin_install(Id id, const void *info, int count, char **arguments) {
  (void)info, (void)count, (void)arguments;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
