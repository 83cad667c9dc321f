/* A client of the Java library that does what it is told on standard input, one command a line, and says on
 * standard output what came of it, up to a line with a dot.  So a test can kill the server between any two
 * commands.  Watch events are kept until `events` asks for them; `connections 2` waits until the session has
 * been connected for the second time.  Compiled by test_java_client.py. */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

public class JavaClient implements Watcher {
    private static final long PATIENCE_MS = 30_000;

    private final List<String> events = new ArrayList<>();
    private final Set<String> acknowledged = new HashSet<>();
    private int told;
    private int connections;
    private int inOrder;
    private int lost;
    private int wrong;
    private ZooKeeper zk;

    public static void main(String[] arguments) throws Exception {
        JavaClient client = new JavaClient();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try {
                client.act(line.split(" "));
            } catch (KeeperException problem) {
                System.out.println(problem.code());
            }
            System.out.println(".");
        }
        System.exit(0);
    }

    @Override
    public synchronized void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            connections += event.getState() == Event.KeeperState.SyncConnected ? 1 : 0;
        } else {
            events.add(event.getType() + " " + event.getPath());
        }
        notifyAll();
    }

    private synchronized boolean await(BooleanSupplier reached) throws InterruptedException {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (!reached.getAsBoolean()) {
            long left = end - System.currentTimeMillis();
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }

    private void act(String[] words) throws Exception {
        String path = words.length > 1 ? words[1] : "";
        String argument = words.length > 2 ? words[2] : "";
        Stat stat = new Stat();
        switch (words[0]) {
            case "connect":
                zk = new ZooKeeper(path, Integer.parseInt(argument), this);
                say(await(() -> connections >= 1) ? "connected" : "not connected");
                break;
            case "connections":
                say(await(() -> connections >= Integer.parseInt(path)) ? "connected" : "not connected");
                break;
            case "server":
                // There is no call for it, but the client's description says it.
                say(zk.toString().replaceAll("(?s).*remoteserver:[^/ ]*/([^ ]*) .*", "$1"));
                break;
            case "session":
                say(Long.toHexString(zk.getSessionId()));
                break;
            case "events":
                await(() -> events.size() >= told + Integer.parseInt(path));
                synchronized (this) {
                    for (; told < events.size(); told++) {
                        say(events.get(told));
                    }
                }
                break;
            case "create":
                create(path, bytes(argument), words.length > 3 ? words[3] : "PERSISTENT", words);
                break;
            case "get":
                say(text(zk.getData(path, argument.equals("watch"), stat)));
                say(stat);
                break;
            case "exists":
                say(zk.exists(path, argument.equals("watch")));
                break;
            case "children":
                say(sorted(zk.getChildren(path, argument.equals("watch"), stat)));
                say(stat);
                break;
            case "set":
                say(zk.setData(path, bytes(argument), words.length > 3 ? Integer.parseInt(words[3]) : -1));
                break;
            case "delete":
                zk.delete(path, -1);
                break;
            case "addWatch":
                zk.addWatch(path, AddWatchMode.valueOf(argument));
                break;
            case "removeWatches":
                zk.removeAllWatches(path, WatcherType.valueOf(argument), false);
                break;
            case "getEphemerals":
                say(sorted(path.isEmpty() ? zk.getEphemerals() : zk.getEphemerals(path)));
                break;
            case "getAllChildrenNumber":
                say(String.valueOf(zk.getAllChildrenNumber(path)));
                break;
            case "auth":
                zk.addAuthInfo(path, bytes(argument));
                break;
            case "whoAmI":
                say(sorted(zk.whoAmI().stream().map(who -> who.getAuthScheme() + "=" + who.getUser())
                        .collect(Collectors.toList())));
                break;
            case "multi":
                multi(path, Integer.parseInt(argument));
                break;
            case "multiRead":
                multiRead(Arrays.asList(words).subList(1, words.length));
                break;
            case "config":
                say(text(zk.getConfig(false, stat)));
                break;
            case "pipeline":
                pipeline(path, Integer.parseInt(argument));
                break;
            case "compare":
                compare(path);
                break;
            case "close":
                zk.close();
                break;
            default:
                say("unknown command");
        }
    }

    private void create(String path, byte[] data, String mode, String[] words) throws Exception {
        Stat stat = new Stat();
        long ttl = words.length > 4 ? Long.parseLong(words[4]) : -1;
        say(zk.create(path, data, Ids.OPEN_ACL_UNSAFE, CreateMode.valueOf(mode), stat, ttl));
        say(stat);
    }

    /** Creates and changes `path`, which must then have the given version; all of it or nothing. */
    private void multi(String path, int version) throws Exception {
        List<Op> ops = Arrays.asList(
                Op.create(path, bytes("a"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData(path, bytes("bb"), 0),
                Op.check(path, version),
                Op.create(path + "/box", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.create(path + "/ttl", bytes("t"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 600_000),
                Op.create(path + "/n-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
                Op.delete(path + "/box", -1));
        try {
            say(zk.multi(ops));
        } catch (KeeperException problem) {
            say(problem.code().toString());
            say(problem.getResults());
        }
    }

    private void multiRead(List<String> paths) throws Exception {
        List<Op> ops = new ArrayList<>();
        for (String path : paths) {
            ops.add(Op.getData(path));
            ops.add(Op.getChildren(path));
        }
        say(zk.multi(ops));
    }

    private void pipeline(String parent, int count) throws Exception {
        synchronized (this) {
            inOrder = lost = wrong = 0;
        }
        for (int i = 0; i < count; i++) {
            String name = String.format("%08d", i);
            zk.create(parent + "/" + name, bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    (code, path, context, made) -> answered(code, name, (Integer) context), i);
        }
        boolean all = await(() -> inOrder + lost + wrong == count);
        say((all ? "" : "not all: ") + inOrder + " in order, " + lost + " lost, " + wrong + " wrong");
    }

    private synchronized void answered(int code, String name, int number) {
        if (code == Code.OK.intValue()) {
            acknowledged.add(name);
        }
        if (code == Code.CONNECTIONLOSS.intValue()) {
            lost++;
        } else if (code == Code.OK.intValue() && (lost > 0 || number == inOrder)) {
            inOrder++;
        } else {
            wrong++;
        }
        notifyAll();
    }

    /** Whether what was acknowledged is there; what was not may be there or not. */
    private void compare(String parent) throws Exception {
        Set<String> missing = new HashSet<>(acknowledged);
        List<String> present = zk.getChildren(parent, false);
        missing.removeAll(present);
        say(acknowledged.size() + " acknowledged, " + missing.size() + " of them missing");
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] data) {
        return data == null ? "(null)" : new String(data, StandardCharsets.UTF_8);
    }

    private static String sorted(List<String> names) {
        List<String> copy = new ArrayList<>(names);
        Collections.sort(copy);
        return String.join(" ", copy);
    }

    private static void say(String text) {
        System.out.println(text);
    }

    private static void say(Stat stat) {
        if (stat == null) {
            say("absent");
            return;
        }
        say("version " + stat.getVersion() + " children " + stat.getCversion() + " acl " + stat.getAversion()
                + " length " + stat.getDataLength() + " count " + stat.getNumChildren()
                + (stat.getEphemeralOwner() == 0 ? "" : " ephemeral")
                + (stat.getMzxid() == stat.getCzxid() ? " unchanged" : "")
                + (stat.getPzxid() == stat.getCzxid() ? " childless" : ""));
    }

    private static void say(List<OpResult> results) {
        for (OpResult result : results) {
            if (result instanceof OpResult.ErrorResult) {
                say("error " + Code.get(((OpResult.ErrorResult) result).getErr()));
            } else if (result instanceof OpResult.GetDataResult) {
                say("data " + text(((OpResult.GetDataResult) result).getData()));
                say(((OpResult.GetDataResult) result).getStat());
            } else if (result instanceof OpResult.GetChildrenResult) {
                say("children " + sorted(((OpResult.GetChildrenResult) result).getChildren()));
            } else if (result instanceof OpResult.CreateResult) {
                say("created " + ((OpResult.CreateResult) result).getPath());
                if (((OpResult.CreateResult) result).getStat() != null) {
                    say(((OpResult.CreateResult) result).getStat());
                }
            } else if (result instanceof OpResult.SetDataResult) {
                say("set");
                say(((OpResult.SetDataResult) result).getStat());
            } else {
                say(result.getClass().getSimpleName());
            }
        }
    }
}
