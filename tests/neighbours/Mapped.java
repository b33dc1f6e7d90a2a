// SPDX-License-Identifier: BSD-3-Clause
// Mapped.java: java Mapped.java FILE: threads that store into a mapped file and force it, while the run-time uses
// SIGSEGV and SIGBUS for its own purposes: null checks, safepoints, the ends of stacks, files that were cut off.
// Prints the same each time.
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import java.util.zip.CRC32;

public class Mapped {
	static final int NR_THREADS = 3, PART = 1 << 20, ROUNDS = 60;
	static final Object lock = new Object();
	static volatile boolean done;
	static int nulls, overflows;

	static class Node {
		int value;
		Node next;
	}

	// Compiled code has no check here: it faults on address 0 or close to it.
	static int valueOf(Node node) {
		return node.value;
	}

	static int countNulls(int times) {
		Node[] nodes = {new Node(), null};
		int caught = 0;
		for (int i = 0; i < times; i++) {
			try {
				valueOf(nodes[i % 1000 == 999 ? 1 : 0]);
			} catch (NullPointerException e) {
				caught++;
			}
		}
		return caught;
	}

	static int depth(int n) {
		return depth(n + 1) + 1;
	}

	static int countOverflows(int times) {
		int caught = 0;
		for (int i = 0; i < times; i++) {
			try {
				depth(0);
			} catch (StackOverflowError e) {
				caught++;
			}
		}
		return caught;
	}

	static void store(MappedByteBuffer map, int nr) {
		Random random = new Random(nr);
		for (int round = 0; round < ROUNDS; round++) {
			int at = nr * PART + random.nextInt(PART - 8192);
			int len = random.nextInt(8192);
			for (int i = 0; i < len; i++)
				map.put(at + i, (byte) (i + round));
			if (round % 3 == 0)
				map.force();
			else
				map.force(at, Math.max(len, 1));
			byte[] garbage = new byte[1 << 18];
			if (garbage[round] != 0)
				throw new AssertionError();
			if (round % 10 == 0) {
				int caught = countNulls(20000);
				synchronized (lock) {
					nulls += caught;
					overflows += countOverflows(1);
				}
			}
		}
	}

	static long sum(FileChannel file, long len) throws Exception {
		CRC32 crc = new CRC32();
		ByteBuffer buffer = ByteBuffer.allocate((int) len);
		while (buffer.hasRemaining() && file.read(buffer, buffer.position()) > 0)
			;
		crc.update(buffer.array());
		return crc.getValue();
	}

	static void cutOff(FileChannel file, Path path) throws Exception {
		MappedByteBuffer map = file.map(FileChannel.MapMode.READ_WRITE, 0, 4 * PART);
		map.put(3 * PART, (byte) 1);
		map.force();
		file.truncate(2 * PART);
		try {
			map.put(3 * PART, (byte) 2);
			System.out.println("stored beyond the end");
		} catch (InternalError e) {
			System.out.println("beyond the end: InternalError");
		}
		map.put(PART, (byte) 3);
		map.force(PART, 1);
	}

	public static void main(String[] args) throws Exception {
		Path path = Path.of(args[0]);
		FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ,
				StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING);
		MappedByteBuffer map = file.map(FileChannel.MapMode.READ_WRITE, 0, NR_THREADS * PART);
		Thread[] threads = new Thread[NR_THREADS];
		for (int i = 0; i < NR_THREADS; i++) {
			int nr = i;
			threads[i] = new Thread(() -> store(map, nr));
			threads[i].start();
		}
		Thread collector = new Thread(() -> {
			while (!done)
				System.gc();
		});
		collector.start();
		for (Thread thread : threads)
			thread.join();
		done = true;
		collector.join();
		file.force(true);
		System.out.println("null checks " + nulls + ", ends of the stack " + overflows);
		System.out.println("sum " + sum(file, NR_THREADS * PART));
		cutOff(file, path);
		System.out.println("sum " + sum(file, 2 * PART));
	}
}
