/* A client of libzookeeper_mt that does what it is told on standard input, one command a line, and says on
 * standard output what came of it, up to a line with a dot.  So a test can kill the server between any two
 * commands.  Watch events are kept by the library's own thread until `events` asks for them; `connections 2`
 * waits until the session has been connected for the second time.  Built by test_c_client.py. */
#define THREADED
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zookeeper/zookeeper.h>

#define MOST_EVENTS 1000
#define PATIENCE_S 20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char events[MOST_EVENTS][256];
static int event_count, told_count, connections, answered, failed;

static void watch(zhandle_t *zh, int type, int new_state, const char *path, void *context) {
    const char *name = type == ZOO_CREATED_EVENT       ? "created"
                       : type == ZOO_DELETED_EVENT     ? "deleted"
                       : type == ZOO_CHANGED_EVENT     ? "changed"
                       : type == ZOO_CHILD_EVENT       ? "children"
                       : type == ZOO_NOTWATCHING_EVENT ? "removed"
                                                       : "?";
    pthread_mutex_lock(&lock);
    if (type == ZOO_SESSION_EVENT)
        connections += new_state == ZOO_CONNECTED_STATE;
    else if (event_count < MOST_EVENTS)
        snprintf(events[event_count++], sizeof events[0], "%s %s", name, path);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static struct timespec deadline(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return until;
}

/* Waits until *value has reached `wanted`; 0 if it did not in time. */
static int wait_for(int *value, int wanted) {
    struct timespec until = deadline();
    int late = 0;
    pthread_mutex_lock(&lock);
    while (!late && *value < wanted)
        late = pthread_cond_timedwait(&changed, &lock, &until);
    pthread_mutex_unlock(&lock);
    return !late;
}

static void say_code(int code) { printf("%s\n", zerror(code)); }

static void say_stat(const struct Stat *stat) {
    printf("version %d children %d acl %d length %d count %d%s%s%s\n", stat->version, stat->cversion, stat->aversion,
           stat->dataLength, stat->numChildren, stat->ephemeralOwner ? " ephemeral" : "",
           stat->mzxid == stat->czxid ? " unchanged" : "", stat->pzxid == stat->czxid ? " childless" : "");
}

static int by_name(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void say_strings(struct String_vector *names) {
    qsort(names->data, names->count, sizeof names->data[0], by_name);
    for (int i = 0; i < names->count; i++)
        printf("%s%s", i ? " " : "", names->data[i]);
    printf("\n");
    deallocate_String_vector(names);
}

static void say_acl(struct ACL_vector *acl) {
    for (int i = 0; i < acl->count; i++)
        printf("%s%s:%s:%d", i ? " " : "", acl->data[i].id.scheme, acl->data[i].id.id, acl->data[i].perms);
    printf("\n");
    deallocate_ACL_vector(acl);
}

/* Completions of pipelined requests: the library's one thread calls them in the order of the replies. */
static void count_name(int code, const char *name, const void *expected) {
    pthread_mutex_lock(&lock);
    if (code != ZOK || (long)expected != answered)
        failed++;
    answered++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void count_plain(int code, const void *expected) { count_name(code, NULL, expected); }

static void reset_answers(void) {
    pthread_mutex_lock(&lock);
    answered = failed = 0;
    pthread_mutex_unlock(&lock);
}

/* `count` creates below `parent`, sent without waiting for any reply. */
static void pipeline(zhandle_t *zh, const char *parent, int count) {
    char path[256];
    reset_answers();
    for (long i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%08ld", parent, i);
        if (zoo_acreate(zh, path, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, count_name, (void *)i) != ZOK)
            failed++;
    }
    wait_for(&answered, count);
    printf("%d answered, %d wrong or out of order\n", answered, failed);
}

static void sync_path(zhandle_t *zh, const char *path) {
    reset_answers();
    if (zoo_async(zh, path, count_name, (void *)0L) == ZOK && wait_for(&answered, 1) && !failed)
        say_code(ZOK);
    else
        printf("not synced\n");
}

static void add_auth(zhandle_t *zh, const char *scheme, const char *what) {
    reset_answers();
    if (zoo_add_auth(zh, scheme, what, strlen(what), count_plain, (void *)0L) == ZOK && wait_for(&answered, 1))
        printf("%s\n", failed ? "refused" : "ok");
    else
        printf("not answered\n");
}

/* multi good PATH: create, set, check, a sequential child, and delete the child of another name: all done.
 * multi bad PATH: a create and a set, which are undone because the check in the middle fails. */
static void multi(zhandle_t *zh, const char *kind, const char *path) {
    char child[256], numbered[256], made[256], made_child[256], made_numbered[256];
    struct Stat stat;
    zoo_op_t ops[6];
    zoo_op_result_t results[6];
    int count = 0;
    memset(&stat, 0, sizeof stat);
    snprintf(child, sizeof child, "%s/child", path);
    snprintf(numbered, sizeof numbered, "%s/n-", path);
    zoo_create_op_init(&ops[count++], path, "a", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_set_op_init(&ops[count++], path, "bb", 2, 0, &stat);
    zoo_check_op_init(&ops[count++], path, strcmp(kind, "good") ? 7 : 1);
    zoo_create_op_init(&ops[count++], child, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, made_child, sizeof made_child);
    zoo_create_op_init(&ops[count++], numbered, "n", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, made_numbered,
                       sizeof made_numbered);
    zoo_delete_op_init(&ops[count++], child, 0);
    int code = zoo_multi(zh, count, ops, results);
    printf("%s:", zerror(code));
    for (int i = 0; i < count; i++)
        printf(" [%s]", zerror(results[i].err));
    printf("\n");
    if (code == ZOK) {
        printf("%s %s\n", made, made_numbered);
        say_stat(&stat);
    }
}

static int flags_of(const char *mode) {
    return !strcmp(mode, "ephemeral")        ? ZOO_EPHEMERAL
           : !strcmp(mode, "sequential")     ? ZOO_PERSISTENT_SEQUENTIAL
           : !strcmp(mode, "ephemeral_seq")  ? ZOO_EPHEMERAL_SEQUENTIAL
           : !strcmp(mode, "container")      ? ZOO_CONTAINER
           : !strcmp(mode, "ttl")            ? ZOO_PERSISTENT_WITH_TTL
           : !strcmp(mode, "ttl_sequential") ? ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL
                                             : ZOO_PERSISTENT;
}

static void act(zhandle_t *zh, char *verb, char *path, char *first, char *second) {
    struct Stat stat;
    struct String_vector names;
    struct ACL_vector acl;
    char buffer[4096];
    int length = sizeof buffer, code;
    struct ACL one[1];
    struct ACL_vector given = {1, one};

    if (!strcmp(verb, "create") || !strcmp(verb, "create2")) {
        int flags = flags_of(second);
        int64_t ttl = strncmp(second, "ttl", 3) ? -1 : 600000;
        int with_stat = verb[6] == '2';
        code = with_stat ? zoo_create2_ttl(zh, path, first, strlen(first), &ZOO_OPEN_ACL_UNSAFE, flags, ttl, buffer,
                                           length, &stat)
                         : zoo_create_ttl(zh, path, first, strlen(first), &ZOO_OPEN_ACL_UNSAFE, flags, ttl, buffer,
                                          length);
        printf("%s %s\n", zerror(code), code == ZOK ? buffer : "");
        if (code == ZOK && with_stat)
            say_stat(&stat);
    } else if (!strcmp(verb, "get")) {
        code = zoo_wget(zh, path, *first ? watch : NULL, NULL, buffer, &length, &stat);
        printf("%s %.*s\n", zerror(code), code == ZOK && length > 0 ? length : 0, buffer);
        if (code == ZOK)
            say_stat(&stat);
    } else if (!strcmp(verb, "exists")) {
        code = zoo_wexists(zh, path, *first ? watch : NULL, NULL, &stat);
        say_code(code);
        if (code == ZOK)
            say_stat(&stat);
    } else if (!strcmp(verb, "children")) {
        code = zoo_wget_children2(zh, path, *first ? watch : NULL, NULL, &names, &stat);
        say_code(code);
        if (code == ZOK) {
            say_strings(&names);
            say_stat(&stat);
        }
    } else if (!strcmp(verb, "set")) {
        code = zoo_set2(zh, path, first, strlen(first), *second ? atoi(second) : -1, &stat);
        say_code(code);
        if (code == ZOK)
            say_stat(&stat);
    } else if (!strcmp(verb, "delete")) {
        say_code(zoo_delete(zh, path, *first ? atoi(first) : -1));
    } else if (!strcmp(verb, "getacl")) {
        code = zoo_get_acl(zh, path, &acl, &stat);
        say_code(code);
        if (code == ZOK) {
            say_acl(&acl);
            say_stat(&stat);
        }
    } else if (!strcmp(verb, "setacl")) {
        one[0].perms = atoi(second);
        one[0].id.scheme = strtok(first, ":");
        one[0].id.id = strtok(NULL, "");
        if (!one[0].id.id)
            one[0].id.id = "";
        say_code(zoo_set_acl(zh, path, -1, &given));
    } else if (!strcmp(verb, "unwatch")) {
        say_code(zoo_remove_watches(zh, path, atoi(first), watch, NULL, 0));
    } else if (!strcmp(verb, "sync")) {
        sync_path(zh, path);
    } else if (!strcmp(verb, "multi")) {
        multi(zh, path, first);
    } else if (!strcmp(verb, "auth")) {
        add_auth(zh, path, first);
    } else if (!strcmp(verb, "pipeline")) {
        pipeline(zh, path, atoi(first));
    } else if (!strcmp(verb, "config")) {
        code = zoo_getconfig(zh, 0, buffer, &length, &stat);
        printf("%s %.*s\n", zerror(code), code == ZOK && length > 0 ? length : 0, buffer);
    } else if (!strcmp(verb, "reconfig")) {
        say_code(zoo_reconfig(zh, path, NULL, NULL, -1, buffer, &length, &stat));
    } else {
        printf("unknown command\n");
    }
}

int main(void) {
    static char line[4096];
    zhandle_t *zh = NULL;
    zoo_set_debug_level(0);
    zoo_deterministic_conn_order(1);
    while (fgets(line, sizeof line, stdin)) {
        char *words[4] = {"", "", "", ""};
        int count = 0;
        for (char *word = strtok(line, " \n"); word && count < 4; word = strtok(NULL, " \n"))
            words[count++] = word;
        if (!strcmp(words[0], "connect")) {
            zh = zookeeper_init(words[1], watch, atoi(words[2]), NULL, NULL, 0);
            printf("%s\n", wait_for(&connections, 1) ? "connected" : "not connected");
        } else if (!strcmp(words[0], "connections")) {
            printf("%s\n", wait_for(&connections, atoi(words[1])) ? "connected" : "not connected");
        } else if (!strcmp(words[0], "server")) {
            printf("%s\n", zoo_get_current_server(zh));
        } else if (!strcmp(words[0], "session")) {
            printf("%llx\n", (unsigned long long)zoo_client_id(zh)->client_id);
        } else if (!strcmp(words[0], "events")) {
            wait_for(&event_count, told_count + atoi(words[1]));
            pthread_mutex_lock(&lock);
            while (told_count < event_count)
                printf("%s\n", events[told_count++]);
            pthread_mutex_unlock(&lock);
        } else if (!strcmp(words[0], "close")) {
            say_code(zookeeper_close(zh));
        } else {
            act(zh, words[0], words[1], words[2], words[3]);
        }
        printf(".\n");
        fflush(stdout);
    }
    return 0;
}
