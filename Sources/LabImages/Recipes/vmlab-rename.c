// The Windows half of a name: a Windows program that gives a running `wine` guest its computer name, over and over.
//
// It reads names from its standard input, one a line, sets what Wine's wineboot sets from the host name at boot, and answers
// `ok` or what went wrong, a line each, on its standard output. Between names it waits in a read.
//
// It is C and freestanding, linked against ntdll alone, as `reg add` takes Wine and its registry, services and window
// libraries into memory for each value. vmlab-rename.sh starts it.

typedef unsigned short WCHAR;
typedef unsigned char BYTE;
typedef unsigned int ULONG;
typedef int NTSTATUS;
typedef void *HANDLE;
typedef struct {
    unsigned short bytes, capacity;
    const WCHAR *text;
} String;
typedef struct {
    ULONG size;
    HANDLE root;
    String *name;
    ULONG attributes;
    void *security, *quality;
} Object;
typedef struct {
    NTSTATUS status;
    unsigned long long information;
} Outcome;

#define SYSTEM __declspec(dllimport) NTSTATUS
SYSTEM NtOpenKey(HANDLE *key, ULONG access, const Object *object);
SYSTEM NtSetValueKey(HANDLE key, const String *name, ULONG index, ULONG type, const void *bytes, ULONG count);
SYSTEM NtReadFile(HANDLE, HANDLE, void *, void *, Outcome *, void *, ULONG, const long long *, const ULONG *);
SYSTEM NtWriteFile(HANDLE, HANDLE, void *, void *, Outcome *, const void *, ULONG, const long long *, const ULONG *);
SYSTEM NtTerminateProcess(HANDLE process, NTSTATUS status);
SYSTEM RtlOpenCurrentUser(ULONG access, HANDLE *key);

enum { SET_VALUE = 0x0002, IGNORE_CASE = 0x40, TEXT = 1, LONGEST = 256, NETBIOS = 15 };

#define PLACE(text) { sizeof(text) - sizeof(WCHAR), sizeof(text), text }
#define CONTROL L"\\Registry\\Machine\\System\\CurrentControlSet\\"

static String places[] = {
    PLACE(CONTROL L"Control\\ComputerName\\ActiveComputerName"), PLACE(CONTROL L"Control\\ComputerName\\ComputerName"),
    PLACE(CONTROL L"Services\\Tcpip\\Parameters"), PLACE(L"Volatile Environment"),
};
enum { ACTIVE, STORED, NETWORK, ENVIRONMENT, PLACES };
static HANDLE keys[PLACES];
static HANDLE input, output;

// The process's standard handles, from its parameters, which its environment block holds.
static void findHandles(void) {
    BYTE *environment, *parameters;
    __asm__("movq %%gs:0x60, %0" : "=r"(environment));
    parameters = *(BYTE **)(environment + 0x20);
    input = *(HANDLE *)(parameters + 0x20);
    output = *(HANDLE *)(parameters + 0x28);
}

// Opened once, so that a rename is nothing but the values.
static NTSTATUS openKeys(void) {
    HANDLE user;
    NTSTATUS status = RtlOpenCurrentUser(SET_VALUE, &user);
    for (int i = 0; status == 0 && i < PLACES; i++) {
        Object object = { sizeof object, i == ENVIRONMENT ? user : 0, &places[i], IGNORE_CASE, 0, 0 };
        status = NtOpenKey(&keys[i], SET_VALUE, &object);
    }
    return status;
}

static NTSTATUS set(int place, String name, const WCHAR *text, ULONG count) {
    return NtSetValueKey(keys[place], &name, 0, TEXT, text, (count + 1) * sizeof *text);
}

// `host.domain`: the host's part is the name on networks; of it the first 15 letters, capitals, are the computer's.
static NTSTATUS rename(const BYTE *line, ULONG count) {
    static const String computer = PLACE(L"ComputerName"), hostname = PLACE(L"Hostname"), domain = PLACE(L"Domain"),
                        userDomain = PLACE(L"USERDOMAIN"), server = PLACE(L"LOGONSERVER");
    static WCHAR host[LONGEST + 1], rest[LONGEST + 1], capitals[NETBIOS + 3];
    ULONG hostCount = 0, restCount = 0, capitalCount = 0;
    while (hostCount < count && line[hostCount] != '.') {
        host[hostCount] = line[hostCount];
        hostCount++;
    }
    for (ULONG i = hostCount + 1; i < count; i++) rest[restCount++] = line[i];
    // Behind two backslashes: so a server is called.
    capitals[0] = capitals[1] = '\\';
    while (capitalCount < hostCount && capitalCount < NETBIOS) {
        WCHAR letter = host[capitalCount];
        capitals[2 + capitalCount++] = letter >= 'a' && letter <= 'z' ? letter - 32 : letter;
    }
    host[hostCount] = rest[restCount] = capitals[2 + capitalCount] = 0;
    NTSTATUS status = set(ACTIVE, computer, capitals + 2, capitalCount);
    if (!status) status = set(STORED, computer, capitals + 2, capitalCount);
    if (!status) status = set(NETWORK, hostname, host, hostCount);
    if (!status) status = set(NETWORK, domain, rest, restCount);
    if (!status) status = set(ENVIRONMENT, userDomain, capitals + 2, capitalCount);
    if (!status) status = set(ENVIRONMENT, server, capitals, 2 + capitalCount);
    return status;
}

static int answer(NTSTATUS status) {
    static const char good[] = "ok\n", bad[] = "the registry did not take the name\n";
    Outcome outcome;
    return NtWriteFile(
        output, 0, 0, 0, &outcome, status ? bad : good, (status ? sizeof bad : sizeof good) - 1, 0, 0);
}

void start(void) {
    static BYTE line[LONGEST];
    ULONG count = 0;
    findHandles();
    NTSTATUS status = openKeys();
    for (;;) {
        Outcome outcome;
        if (NtReadFile(input, 0, 0, 0, &outcome, line + count, LONGEST - count, 0, 0) || !outcome.information) break;
        count += (ULONG)outcome.information;
        if (line[count - 1] != '\n' && count < LONGEST) continue;
        if (!status) status = rename(line, count - 1);
        if (answer(status) || status) break;
        count = 0;
    }
    NtTerminateProcess((HANDLE)-1, status);
}
