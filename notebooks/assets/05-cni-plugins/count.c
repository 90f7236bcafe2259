/* Counts the packets that pass, and drops them while it is told so. Compiled for the kernel's own machine, BPF. */

typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))
enum { BPF_MAP_TYPE_ARRAY = 2, BPF_map_lookup_elem = 1 }; /* numbers the kernel has given */
enum { PASS = 0, DROP = 2 };                              /* of what tc understands */

static void *(*lookup)(void *map, const void *key) = (void *)BPF_map_lookup_elem;

/* A map is what a program and people outside the kernel both read and write. This one has two places. */
enum { PACKETS, DROPPING };
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[2];
	u32 *key;
	u64 *value;
} numbers SECTION(".maps");

SECTION("tc")
int count(void *packet)
{
	u32 packets = PACKETS, dropping = DROPPING;
	u64 *counter = lookup(&numbers, &packets);
	u64 *told = lookup(&numbers, &dropping);

	if (!counter || !told) /* the verifier refuses whatever might read at address 0 */
		return PASS;
	__sync_fetch_and_add(counter, 1);
	return *told ? DROP : PASS;
}
