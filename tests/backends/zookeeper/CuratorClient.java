/* Curator's locks and elections, told on standard input what to do, one command a line; what came of it is said
 * on standard output, up to a line with a dot.  Nothing here waits but what says so, so that one of these can
 * stand in line while another one is told something.  Compiled by curator.py.
 *
 *   connect SERVER HOSTS               under this name from then on
 *   make NAME SERVER KIND PATH         mutex, write, read (of a read-write lock), latch or selector
 *   ask NAME                           stands in line from now on
 *   tries NAME                         yes or no, at once; not of elections
 *   has NAME                           yes or no
 *   obtained NAME                      waits until it has it
 *   leader NAME                        what elections call the leader
 *   release NAME
 *   add NAME PATH ROUNDS               begins to add 1 to the number there, so often, each time while it has it
 *   added NAME                         waits until all of that is done */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.retry.ExponentialBackoffRetry;

public class CuratorClient {
    private static final long PATIENCE_S = 30;
    private static final String IDENTITY = "curator";

    private final Map<String, CuratorFramework> servers = new HashMap<>();
    private final Map<String, Wanted> wanted = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        CuratorClient client = new CuratorClient();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try {
                System.out.println(client.act(line.split(" ")));
            } catch (Exception problem) {
                System.out.println(problem);
            }
            System.out.println(".");
        }
        System.exit(0);
    }

    private String act(String[] words) throws Exception {
        String name = words[1];
        switch (words[0]) {
            case "connect":
                CuratorFramework server = CuratorFrameworkFactory.newClient(
                        words[2], 15_000, 15_000, new ExponentialBackoffRetry(100, 5));
                server.start();
                servers.put(name, server);
                return yes(server.blockUntilConnected((int) PATIENCE_S, TimeUnit.SECONDS));
            case "make":
                wanted.put(name, make(servers.get(words[2]), words[3], words[4]));
                return "made";
            case "ask":
                wanted.get(name).ask();
                return "asked";
            case "tries":
                return yes(wanted.get(name).tries());
            case "has":
                return yes(wanted.get(name).has());
            case "obtained":
                return yes(wanted.get(name).obtained());
            case "leader":
                return wanted.get(name).leader();
            case "release":
                wanted.get(name).release();
                return "released";
            case "add":
                wanted.get(name).add(words[2], Integer.parseInt(words[3]));
                return "adding";
            case "added":
                wanted.get(name).adding.get(PATIENCE_S, TimeUnit.SECONDS);
                return "added";
            default:
                return "unknown command";
        }
    }

    private static String yes(boolean answer) {
        return answer ? "yes" : "no";
    }

    private static Wanted make(CuratorFramework server, String kind, String path) {
        switch (kind) {
            case "mutex":
                return new Lock(server, new InterProcessMutex(server, path));
            case "write":
                return new Lock(server, new InterProcessReadWriteLock(server, path).writeLock());
            case "read":
                return new Lock(server, new InterProcessReadWriteLock(server, path).readLock());
            case "latch":
                return new Latch(server, path);
            case "selector":
                return new Selector(server, path);
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    private abstract static class Wanted {
        final CuratorFramework server;
        Future<?> adding;

        Wanted(CuratorFramework server) {
            this.server = server;
        }

        abstract void ask() throws Exception;

        abstract boolean has() throws Exception;

        abstract boolean obtained() throws Exception;

        abstract void release() throws Exception;

        boolean tries() throws Exception {
            throw new UnsupportedOperationException();
        }

        String leader() throws Exception {
            throw new UnsupportedOperationException();
        }

        void add(String path, int rounds) {
            ExecutorService thread = Executors.newSingleThreadExecutor();
            adding = thread.submit(() -> {
                for (int round = 0; round < rounds; round++) {
                    ask();
                    if (!obtained()) {
                        throw new IllegalStateException("not obtained");
                    }
                    String number = new String(server.getData().forPath(path), StandardCharsets.UTF_8);
                    String next = String.valueOf(Integer.parseInt(number) + 1);
                    server.setData().forPath(path, next.getBytes(StandardCharsets.UTF_8));
                    release();
                }
                return null;
            });
            thread.shutdown();
        }
    }

    /** A lock belongs to a thread, so each has one of its own. */
    private static class Lock extends Wanted {
        private final InterProcessMutex lock;
        private final ExecutorService thread = Executors.newSingleThreadExecutor();
        private Future<?> asked;

        Lock(CuratorFramework server, InterProcessMutex lock) {
            super(server);
            this.lock = lock;
        }

        @Override
        void ask() {
            asked = thread.submit(() -> {
                lock.acquire();
                return null;
            });
        }

        @Override
        boolean tries() throws Exception {
            return thread.submit(() -> lock.acquire(0, TimeUnit.SECONDS)).get(PATIENCE_S, TimeUnit.SECONDS);
        }

        @Override
        boolean has() {
            return asked != null && asked.isDone();
        }

        @Override
        boolean obtained() throws Exception {
            asked.get(PATIENCE_S, TimeUnit.SECONDS);
            return lock.isAcquiredInThisProcess();
        }

        @Override
        void release() throws Exception {
            asked = null;
            thread.submit(() -> {
                lock.release();
                return null;
            }).get(PATIENCE_S, TimeUnit.SECONDS);
        }
    }

    private static class Latch extends Wanted {
        private final String path;
        private LeaderLatch latch;

        Latch(CuratorFramework server, String path) {
            super(server);
            this.path = path;
        }

        @Override
        void ask() throws Exception {
            latch = new LeaderLatch(server, path, IDENTITY);
            latch.start();
        }

        @Override
        boolean has() {
            return latch.hasLeadership();
        }

        @Override
        boolean obtained() throws Exception {
            return latch.await(PATIENCE_S, TimeUnit.SECONDS);
        }

        @Override
        String leader() throws Exception {
            return latch.getLeader().getId();
        }

        @Override
        void release() throws Exception {
            latch.close();
        }
    }

    private static class Selector extends Wanted {
        private final String path;
        private LeaderSelector selector;
        private CountDownLatch leads;
        private CountDownLatch resigned;

        Selector(CuratorFramework server, String path) {
            super(server);
            this.path = path;
        }

        @Override
        void ask() {
            CountDownLatch begin = leads = new CountDownLatch(1);
            CountDownLatch end = resigned = new CountDownLatch(1);
            selector = new LeaderSelector(server, path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) throws Exception {
                    begin.countDown();
                    end.await();
                }
            });
            selector.setId(IDENTITY);
            selector.start();
        }

        @Override
        boolean has() {
            return selector.hasLeadership();
        }

        @Override
        boolean obtained() throws Exception {
            return leads.await(PATIENCE_S, TimeUnit.SECONDS);
        }

        @Override
        String leader() throws Exception {
            return selector.getLeader().getId();
        }

        @Override
        void release() {
            resigned.countDown();
        }
    }
}
