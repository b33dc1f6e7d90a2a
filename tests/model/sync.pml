// SPDX-License-Identifier: BSD-3-Clause
/*
 * daxsync's sync protocol: traps, syncs, close, flush, fence, power cut.
 *
 * doc/model.md maps every name to the code and says what each configuration
 * of run.sh covers. Two conventions:
 *
 *  - One statement is one step. Each access of the code to shared memory is
 *    one statement. An atomic or d_step stands for one atomic instruction of
 *    the code (taking the lock), for what the hardware does at once (a store
 *    and its permission check, SFENCE), or for ghost state and choices that
 *    the code does not have.
 *  - The number of operations is not bounded. Every thread goes on for ever
 *    or stops after any of its operations. Because all others may have
 *    stopped, a thread that waits for ever is an invalid end state.
 *
 * Set with -D:
 *   NP=n        pages of the file, 1 or 2
 *   NW=n        storing threads, 1 or 2
 *   ALIAS       a second mapping of the file appears at any time
 *   TWO_MAPPINGS  there are two from the start
 *   PARTIAL=p   a sync may cover page p in part
 *   BLIND       and then flushes that part whatever the marks say
 *   BATCHES     a sync may fence and let go in the middle of its walk
 *   LATER       a sync flushes what it has taken just before it fences, not
 *               each page as it takes it
 *   ERRORS      any flush may fail
 *   SIGNALS     a signal handler interrupts sync thread 0 to store or sync
 *   EVICT       dirty lines become durable by themselves
 *   EXTENT      a trap may open both pages, and a close may close both and
 *               unmark only one
 *   DISCOVER    all of the mapping is open at first, and a trap may open all of
 *               it again; a sync then closes it and scans what was touched
 *   HANDOVER    with DISCOVER: at any time the file is handed over to the kernel,
 *               whose own marks and page tables are modelled then, and taken
 *               back; and sync thread 0 cuts the file, at which the kernel
 *               forgets its marks (Linux 6.15). No trap opens all then
 *   BESIDE      a thread calls the kernel's sync at any time, of a file that is
 *               not handed over
 *   FSYNC       with BESIDE: the calls of sync thread 1 are fsyncs, which flush
 *               nothing themselves
 *   HUGE_ENTRY  with FSYNC: one of the kernel's tags stands for both pages
 *   INVARIANTS  check V1 and V2 of the verify mode in every state
 *   BREAK_*     one deliberate bug
 */

#ifndef NP
#define NP 2
#endif
#ifndef NW
#define NW 2
#endif
#if defined(ALIAS) || defined(TWO_MAPPINGS)
#define NM 2			/* mappings */
#else
#define NM 1
#endif
#ifdef TWO_MAPPINGS
#define MAPPED 3		/* mappings at the start, a bit each */
#else
#define MAPPED 1
#endif
#ifdef SIGNALS
#define NS 3			/* syncs that can be in progress; 2 is the handler's */
#else
#define NS 2
#endif

#define BIT(i)		(1 << (i))
#define HAS(word, i)	((word) & BIT(i))
#define SET(word, i)	word = (word) | BIT(i)
#define CLR(word, i)	word = (word) & ~BIT(i)
#define ALL(n)		(BIT(n) - 1)

/* ---- The inode: a bit per page in each word --------------------------- */

byte DIRTY, FLUSHING, LOCK;
byte SUMMARY;			/* of FLUSHING, as a walk finds it in the tree */
byte open[NM];			/* writable in this mapping, as the MMU sees it */
byte listed = MAPPED;		/* mappings in the inode's list, a bit each */
byte usable = MAPPED;		/* mappings whose address the program has */
#ifdef SIGNALS
byte blocked;			/* bit s: sync s runs with signals blocked */
#endif
byte errseen;			/* bit s: a flush failed since sync s began; the
				   code compares an error count of the inode */
#ifdef DISCOVER
bool open_all = true;		/* nothing of the mapping is known clean */
byte reopened;			/* bit s: all was opened since sync s closed it;
				   the code compares a count of the mapping */
bool mutex;			/* of the mapping's protection */
byte touched;			/* the pages that the page tables hold */
#ifdef HANDOVER
#define KNOWN (!open_all && !handed)
#else
#define KNOWN !open_all
#endif
#ifdef BREAK_REOPENED
#define KNOW open_all = false
#else
#define KNOW \
	atomic { \
		!mutex -> \
		if \
		:: HAS(reopened, s) \
		:: !HAS(reopened, s) -> open_all = false \
		fi \
	}
#endif
#else
#define KNOWN true
#endif

/*
 * What the kernel keeps of a DAX file (fs/dax.c). A store completes only if both
 * the mapping and the page table allow it.
 */
#if defined(HANDOVER) || defined(BESIDE)
#define KERNEL
byte KTAG;			/* PAGECACHE_TAG_DIRTY */
byte KLOCK;			/* the entry lock */
byte pte;			/* writable in the page table */
#ifdef HUGE_ENTRY
#define ENTRY(p) 0
#else
#define ENTRY(p) p
#endif
#endif
#ifdef BESIDE
byte syncing;			/* kernel syncs that are under way */
#ifdef FSYNC
byte inside;			/* syncs that hold sync_lock, shared */
#endif
#endif
#ifdef HANDOVER
bool handed;			/* the file is handed over */
byte inside;			/* syncs that hold the file's sync_lock, shared */
bool exclusive;			/* it is held exclusively */
bool cutting;			/* the file is about to be cut: not handed over */
#endif
#ifdef KERNEL
#define WRITABLE(m, p) (HAS(open[m], p) && HAS(pte, p))
#else
#define WRITABLE(m, p) HAS(open[m], p)
#endif

/* ---- Memory ----------------------------------------------------------- */
/*
 * One cache line stands for each page: the promise is made line by line, and
 * no step depends on the contents of another line.
 *
 * Values are not numbered, because only one question is asked of them: how
 * far has the newest value that existed when sync s was called got?
 *
 *   at(s, p)       where that value of page p, or a newer one, is:
 *                  CACHE    in the cache only
 *                  BIT(t)   also written back by thread t, which has not
 *                           fenced yet (one bit for each such thread)
 *                  DURABLE  in the durable image
 *   at(NEWEST, p)  the same for the newest value of all: CACHE says that the
 *                  line is dirty; otherwise it is clean and CLWB does nothing
 *
 * So at(s, p) == DURABLE is "version in the image >= version at the call".
 * What is in flight when the power fails may arrive or not; the check is for
 * the worse, not.
 */
#define CACHE	0
#define DURABLE	128
#define NEWEST	NS
#define at(s, p) where[(s) * NP + (p)]

byte where[(NS + 1) * NP] = DURABLE;
byte calling;			/* bit s: sync s is in progress */
byte i;				/* scratch of a d_step, else 0 */

inline clwb(page)
{
	d_step {
		if
		:: at(NEWEST, page) == CACHE ->
			for (i : 0 .. NEWEST) {
				if
				:: at(i, page) != DURABLE -> SET(at(i, page), t)
				:: else
				fi
			}
		:: else
		fi;
		i = 0
	}
}

inline sfence(thread)		/* completes the write-backs of thread t only */
{
	d_step {
		for (i : 0 .. (NS + 1) * NP - 1) {
			if
			:: HAS(where[i], thread) -> where[i] = DURABLE
			:: else
			fi
		}
		i = 0
	}
}

/* ---- Page lock and trap ----------------------------------------------- */

#define lock(p)		atomic { !HAS(LOCK, p) -> SET(LOCK, p) }
#define unlock(p)	CLR(LOCK, p)

/*
 * A program's store: any page, through any mapping. If the page is closed the
 * store traps; the retry is whichever store the thread makes next.
 * M1: marked before any thread can store without a trap.
 * M3: {mark, open} is done under the lock of the page.
 */
inline store()
{
	atomic {
		if
		:: lowest == 0 -> m = 0
#if NM > 1
		:: HAS(usable, 1) -> m = 1
#endif
		fi;
		if
		:: p = 0
#if NP > 1
		:: p = 1
#endif
		fi;
		if
		:: WRITABLE(m, p) ->
			at(NEWEST, p) = CACHE;
#ifdef DISCOVER
			SET(touched, p);
#endif
			goto stored
		:: else
		fi
	}

#ifdef KERNEL			/* the kernel's write fault: tagged, then writable */
	if
	:: atomic { HAS(open[m], p) && !HAS(KLOCK, ENTRY(p)) -> SET(KTAG, ENTRY(p)); SET(pte, p) };
		goto stored
	:: !HAS(open[m], p)
	fi;
#endif
#if defined(DISCOVER) && !defined(HANDOVER)
	if
	:: skip
	:: goto all
	fi;
#endif
#ifdef EXTENT
	if			/* entries_open(): locks in ascending order */
	:: skip
	:: goto wide
	fi;
#endif
#if !defined(BREAK_M3_PC) && !defined(BREAK_M3_CP)
	lock(p);
#endif
#ifdef BREAK_M1
	SET(open[m], p);
	SET(DIRTY, p);
#else
	SET(DIRTY, p);
	SET(open[m], p);
#endif
#if !defined(BREAK_M3_PC) && !defined(BREAK_M3_CP)
	unlock(p);
#endif
#ifdef EXTENT
	goto stored;
wide:
#if defined(BREAK_EXTENT_ORDER)
	lock(p); lock(1 - p);
#elif defined(BREAK_EXTENT_LOCK)
	lock(p);
#else
	lock(0); lock(1);
#endif
	SET(DIRTY, p);
#ifndef BREAK_EXTENT_MARK
	SET(DIRTY, 1 - p);
#endif
	open[m] = open[m] | 3;
#ifndef BREAK_EXTENT_LOCK
	unlock(1 - p);
#endif
	unlock(p);
#endif
#if defined(DISCOVER) && !defined(HANDOVER)
	goto stored;
all:				/* open_all(): no page lock, and no mark */
	atomic { !mutex -> mutex = true };
#ifdef BREAK_OPEN_FORGET
	open[m] = ALL(NP);
	open_all = true;
	atomic { reopened = ALL(NS); mutex = false }
#else
	open_all = true;
	reopened = ALL(NS);
	atomic { open[m] = ALL(NP); mutex = false }
#endif
#endif
stored:
	atomic { m = 0; p = 0 }
}

/* ---- Sync ------------------------------------------------------------- */
/*
 * The s-th call in progress is made by thread t. kind says how its range
 * lies: it covers all pages, or page PARTIAL in part, including the modelled
 * line of it (HIT) or not (MISS), and the others entirely.
 */
#define WHOLE	0
#define HIT	1
#define MISS	2
#ifdef PARTIAL
#define PARTLY(p) (kind != WHOLE && (p) == PARTIAL)
#else
#define PARTLY(p) false
#endif
#ifdef BLIND
#define BLINDLY(p) PARTLY(p)
#else
#define BLINDLY(p) false
#endif
#define FIRST(set) (HAS(set, 0) -> 0 : 1)

inline call()
{
	atomic {
#ifdef PARTIAL
		if
		:: kind = WHOLE
		:: kind = HIT
		:: kind = MISS
		fi;
#endif
		d_step {
			SET(calling, s);
			for (i : 0 .. NP - 1) {
				if
				:: kind == MISS && PARTLY(i)
				:: else -> at(s, i) = at(NEWEST, i)
				fi
			}
			i = 0
		}
	}
}

inline return_()
{
	d_step {
		if
		:: err ->		/* nothing was promised */
			for (i : 0 .. NP - 1) {
				at(s, i) = DURABLE
			}
		:: else
		fi;
		CLR(calling, s);
		CLR(errseen, s);
#ifdef SIGNALS
		CLR(blocked, s);
#endif
		i = 0; p = 0; kind = WHOLE; err = false
	}
}

/*
 * M2: closed in every mapping, then unmarked. M4: the summary is there before
 * DIRTY goes; a walk reads them the other way round and so sees one of them.
 */
inline close_page()
{
#ifndef BREAK_SUMMARY
	SET(SUMMARY, p);
#endif
	lock(p);
#if defined(BREAK_M3_CP)
	CLR(DIRTY, p);
	CLR(open[0], p)
#elif defined(BREAK_CLEAN_OPEN)
	CLR(DIRTY, p)
#else
#ifdef EXTENT			/* close_region(): more is closed than unmarked */
	if
	:: CLR(open[0], p)
	:: open[0] = 0
	fi;
#ifdef BREAK_EXTENT_UNMARK
	if
	:: open[0] == 0 -> CLR(DIRTY, 1 - p)
	:: else
	fi;
#endif
#else
	CLR(open[0], p);
#endif
#if NM > 1 && !defined(BREAK_M2_ALIAS)
	if
	:: HAS(listed, 1) -> CLR(open[1], p)
	:: !HAS(listed, 1)
	fi;
#endif
	CLR(DIRTY, p)
#endif
	;
#ifdef BREAK_SUMMARY
	SET(SUMMARY, p);
#endif
	unlock(p)
}

inline flush(page)
{
	if
	:: PARTLY(page) && kind == MISS
#ifdef BREAK_M2
	:: !(PARTLY(page) && kind == MISS)
#else
	:: !(PARTLY(page) && kind == MISS) -> clwb(page)
#endif
#ifdef ERRORS
	:: failed = failed | BIT(page)			/* before the line */
	:: clwb(page); failed = failed | BIT(page)	/* after it */
#endif
	fi
}

/* M4: fenced by the thread that flushed, before anybody is let go; after an
   error too, as lines may have been written back before it. */
inline drain()
{
#if defined(BREAK_FENCE)
	sfence(1 - t)
#elif defined(BREAK_M6_FENCE)
	if
	:: failed
	:: !failed -> sfence(t)
	fi
#else
	sfence(t)
#endif
}

/*
 * E.4: close, scan, mark, and only then say that the mapping is known, if it was
 * not opened again meanwhile. Where a page is pinned (M9) pages are left open,
 * the last one here or none, and marked before, touched or not.
 */
inline discover()
{
	if
	:: open_all
	:: atomic { !open_all -> goto known }
	fi;
	atomic { !mutex -> CLR(reopened, s) };
	if
	:: skip
	:: left = BIT(NP - 1);
#ifndef BREAK_LEFT_MARK
		lock(NP - 1);
		SET(DIRTY, NP - 1);
		unlock(NP - 1)
#endif
	fi;
	open[0] = open[0] & left;
#ifdef BREAK_ARM_FIRST
	KNOW;
#endif
	do
	:: atomic { p < NP && !HAS(touched, p) -> p++ }
	:: p < NP && HAS(touched, p) ->
		lock(p);
		SET(DIRTY, p);
		unlock(p);
		p++
	:: atomic { p == NP -> p = 0; break }
	od;
#ifndef BREAK_ARM_FIRST
	KNOW;
#endif
known:	left = 0
}

#ifdef KERNEL
/*
 * The kernel's msync, by thread t (dax_writeback_one): under the entry lock it
 * takes away the write permission, flushes, and unmarks. To unlock is a locked
 * instruction, which fences.
 */
inline kernel_sync()
{
#ifdef HUGE_ENTRY
	if
	:: atomic { !HAS(KLOCK, 0) && !HAS(KTAG, 0) -> p = NP }
	:: atomic { !HAS(KLOCK, 0) && HAS(KTAG, 0) -> SET(KLOCK, 0);
#ifdef BREAK_HUGE_SPLIT			/* Linux before 5.19 */
		CLR(pte, 0)
#else
		pte = 0
#endif
		};
		clwb(0);
		clwb(1);
		atomic { sfence(t); CLR(KTAG, 0); CLR(KLOCK, 0); p = NP }
	fi
#else
	do
	:: atomic { p < NP && !HAS(KLOCK, p) && !HAS(KTAG, p) -> p++ }
	:: atomic { p < NP && !HAS(KLOCK, p) && HAS(KTAG, p) -> SET(KLOCK, p); CLR(pte, p) };
		clwb(p);
		atomic { sfence(t); CLR(KTAG, p); CLR(KLOCK, p); p++ }
	:: p == NP -> break
	od
#endif
}
#endif

inline sync()
{
	call();
#if defined(SIGNALS) && !defined(BREAK_SIGNALS)
	SET(blocked, s);
#endif
#ifdef HANDOVER
#ifdef BREAK_HANDED_BEFORE
	mine = handed;
	atomic { !exclusive -> inside++ };
#else
	atomic { !exclusive -> inside++; mine = handed };
#endif
	if
	:: mine ->
		if		/* a new mapping is looked at all the same */
		:: skip
		:: discover()
		fi;
#ifndef BREAK_HANDED_FLUSH
#ifdef BREAK_HANDED_RELEASED
		inside--;
#endif
		kernel_sync();
		goto over
#endif
	:: !mine
	fi;
#endif
#ifdef FSYNC
	inside++;
#endif

again:	atomic { CLR(errseen, s); p = 0 }
#ifdef DISCOVER
#ifdef BREAK_HANDED_FLUSH
	if
	:: mine
	:: !mine -> discover()
	fi;
#else
	discover();
#endif
#endif

#ifdef BREAK_BESIDE_FIRST
	beside = (syncing != 0);
#endif
	/* Walk: DIRTY is read before the summary of FLUSHING. What another
	   sync flushes is waited for, and then looked at again. */
look:	if
#ifdef LATER
	:: p == NP -> goto complete
#ifdef BATCHES
	:: p < NP && hand != 0 -> goto complete
#endif
#else
	:: atomic { p == NP -> drain() }; goto release
#ifdef BATCHES
	:: atomic { p < NP && hand != 0 -> drain() }; goto release
#endif
#endif
#if defined(BREAK_WALK_ORDER)
	:: p < NP && HAS(SUMMARY, p) -> goto complete
	:: p < NP && !HAS(SUMMARY, p) ->
		if
		:: HAS(DIRTY, p)
		:: atomic { !HAS(DIRTY, p) -> p++ }; goto look
		fi
#else
	:: p < NP && (BLINDLY(p) || HAS(DIRTY, p))
	:: p < NP && !BLINDLY(p) && !HAS(DIRTY, p) ->
		if
#ifdef BREAK_M4_CLOSED
		:: p++; goto look
#else
		:: HAS(SUMMARY, p) -> goto complete
		:: atomic { !HAS(SUMMARY, p) -> p++ }; goto look
#endif
		fi
#endif
	fi;

#ifdef BREAK_M4_OPEN
	if
	:: !PARTLY(p) -> unclaimed = unclaimed | BIT(p); goto taken
	:: true
	fi;
#endif
	/* Claim: one instruction looks and sets. */
	if
#ifdef BREAK_M4_BLIND_WAIT
	:: HAS(FLUSHING, p) && !BLINDLY(p) -> goto complete
	:: atomic { BLINDLY(p) || !HAS(FLUSHING, p) -> SET(FLUSHING, p) }
#else
	:: HAS(FLUSHING, p) -> goto complete
#if defined(BREAK_M4_BLIND)
	:: atomic { !HAS(FLUSHING, p) -> FLUSHING = FLUSHING | (BLINDLY(p) -> 0 : BIT(p)) }
#elif defined(BREAK_CLAIM)
	:: !HAS(FLUSHING, p) -> SET(FLUSHING, p)
#else
	:: atomic { !HAS(FLUSHING, p) -> SET(FLUSHING, p) }
#endif
#endif
	fi;
	if
	:: BLINDLY(p) || HAS(DIRTY, p)
	:: atomic { !BLINDLY(p) && !HAS(DIRTY, p) ->
		/* another sync has closed, flushed and fenced it */
		CLR(FLUSHING, p);
		p++ };
		goto look
	fi;

#ifdef BREAK_M2
	clwb(p);
#endif
	/* The policy may leave any page open, marked as it is. A page that the
	   range covers in part always is. */
	if
#ifdef BREAK_M2_PARTIAL
	:: true -> close_page()
#else
	:: !PARTLY(p) -> close_page()
#endif
	:: goto taken
	fi;
taken:
	/* Flush, without the lock: a store may open the page again meanwhile. */
#ifdef LATER
	atomic { later = later | BIT(p); hand = hand | BIT(p); p++ };
#else
	atomic {
		flush(p);
		hand = hand | BIT(p);
		p++
	}
#endif
	goto look;

	/* Drain and release what is in hand. p is NP when the walk is over,
	   else the page that it goes on with when nobody flushes it; it is
	   waited for with nothing in hand. */
complete:
#ifdef BREAK_DRAIN_FIRST
	drain();
#endif
#ifdef LATER
	do
	:: atomic { later != 0 -> flush(FIRST(later)); later = later & ~BIT(FIRST(later)) }
	:: later == 0 -> break
	od;
#endif
#ifndef BREAK_DRAIN_FIRST
	drain();
#endif
release:
#if defined(BREAK_M4_OPEN)
	atomic { hand = hand & ~unclaimed; unclaimed = 0 };
#elif defined(BREAK_M4_BLIND)
	hand = hand & ~(kind != WHOLE -> BIT(PARTIAL) : 0);
#endif
	do
#ifdef ERRORS
	/* M6: the mark is back, then every sync in progress is told, then
	   FLUSHING goes. */
	:: hand != 0 && HAS(failed, FIRST(hand)) ->
#if defined(BREAK_M6_COUNT)
		errseen = errseen | calling;
		atomic { SET(DIRTY, FIRST(hand));
			failed = failed & ~BIT(FIRST(hand)); err = true }
#elif defined(BREAK_M6)
		atomic { errseen = errseen | calling;
			failed = failed & ~BIT(FIRST(hand)); err = true }
#else
		SET(DIRTY, FIRST(hand));
		atomic { errseen = errseen | calling;
			failed = failed & ~BIT(FIRST(hand)); err = true }
#endif
#endif
	:: atomic { hand != 0 && !HAS(failed, FIRST(hand)) ->
		CLR(FLUSHING, FIRST(hand));
		CLR(SUMMARY, FIRST(hand));
		hand = hand & ~BIT(FIRST(hand)) }
#ifdef BREAK_WAITED
	:: atomic { hand == 0 && p < NP && !HAS(FLUSHING, p) -> p++ }; goto look
#else
	:: hand == 0 && p < NP && !HAS(FLUSHING, p) -> goto look
#endif
#ifdef BREAK_M6_WAITER
	:: atomic { hand == 0 && p == NP -> return_(); break }
#else
	/* A page that another sync has failed to flush since `again' may have
	   had no DIRTY when that was looked at, and no FLUSHING after it. */
	:: hand == 0 && p == NP && !err && HAS(errseen, s) -> goto again
#if defined(HANDOVER) || defined(BESIDE)
	:: atomic { hand == 0 && p == NP && (err || !HAS(errseen, s)) -> break }
#else
	:: atomic { hand == 0 && p == NP && (err || !HAS(errseen, s)) -> return_(); break }
#endif
#endif
	od
#ifdef HANDOVER
	;
over:
#ifdef BREAK_HANDED_RELEASED
	if
	:: mine -> return_()
	:: !mine -> atomic { inside--; return_() }
	fi
#else
	atomic { inside--; return_() }
#endif
#endif
#ifdef BESIDE
	;
#ifdef FSYNC
	inside--;
#endif
	/* parts_sync(): looked at after the flush. What the kernel syncs for
	   this thread is another one's beside. */
#if !defined(BREAK_BESIDE) && !defined(BREAK_BESIDE_FIRST)
	beside = (syncing != 0);
#endif
	if
	:: beside -> beside = false;
		p = 0;
#ifdef BREAK_BESIDE_OWN
		kernel_sync()
#else
		syncing++;
		kernel_sync();
		syncing--
#endif
	:: !beside
	fi;
	return_()
#endif
}

#ifdef FSYNC
/*
 * An fsync is the kernel's, which has a tag for whatever was stored. Of what it
 * finds clean a sync that began before may have flushed and not fenced it.
 */
inline fsync()
{
	call();
#ifdef BREAK_FSYNC_FIRST
	(inside == 0);
#endif
	syncing++;
	kernel_sync();
	syncing--;
#if !defined(BREAK_FSYNC_FIRST) && !defined(BREAK_FSYNC_ALONE)
	(inside == 0);
#endif
	return_()
}
#endif

/* ---- Processes -------------------------------------------------------- */

bool stop;			/* no thread begins another operation */
#ifdef STOP
#define GO !stop ->
#else
#define GO
#endif

#ifdef SIGNALS
bool interrupted;		/* the handler runs, sync thread 0 does not */
#define MAY_RUN provided (_pid != 1 || !interrupted)
#else
#define MAY_RUN
#endif

#ifdef HANDOVER
#ifdef BREAK_HANDED_TURN
#define EXCLUSIVE !exclusive
#else
#define EXCLUSIVE !exclusive && inside == 0
#endif

/*
 * Both with sync_lock held exclusively: nobody is inside a sync. What is marked
 * is flushed, as the kernel may not know of it, then all of the mapping is open.
 * Marks stay.
 */
inline hand_over()
{
	atomic { EXCLUSIVE -> exclusive = true };
	if
#ifdef BREAK_HANDED_CUT
	:: !handed ->
#else
	:: !handed && !cutting ->
#endif
#ifndef BREAK_HANDED_MARKS
		do
		:: atomic { p < NP && !HAS(DIRTY, p) -> p++ }
		:: p < NP && HAS(DIRTY, p) -> clwb(p); p++
		:: atomic { p == NP -> p = 0; sfence(t); break }
		od;
#endif
		handed = true;
		atomic { !mutex -> mutex = true };
		open_all = true;
		reopened = ALL(NS);
		atomic { open[0] = ALL(NP); mutex = false }
#ifdef BREAK_HANDED_CUT
	:: handed
#else
	:: handed || cutting
#endif
	fi;
	exclusive = false
}

inline take_back()
{
	atomic { EXCLUSIVE -> exclusive = true };
#ifdef BREAK_TAKEN_CLEAN
	if
	:: handed -> open_all = false
	:: !handed
	fi;
#endif
	handed = false;
	exclusive = false
}

/* ftruncate(): page tables are emptied and marks forgotten, whatever was stored
   since our sync. */
inline forget()
{
	atomic { KLOCK == 0 -> KTAG = 0; pte = 0; touched = 0; cutting = false }
}
#endif

proctype Storer(byte lowest)
{
	byte m, p;

end:	do
	:: GO store()
	od
}

proctype Syncer(byte s) MAY_RUN
{
	byte t = s, p, hand, failed, kind;
	bool err;
#ifdef LATER
	byte later;
#endif
#ifdef BREAK_M4_OPEN
	byte unclaimed;
#endif
#ifdef DISCOVER
	byte left;
#endif
#ifdef BESIDE
	bool beside;			/* a kernel sync was under way */
#endif
#ifdef HANDOVER
	bool mine, cut;			/* mine: handed over while it is inside */

end:	do
	:: GO
		if
		:: atomic { s == 0 -> cutting = true };
			cut = true;
			take_back()
		:: skip
		fi;
		sync();
		if
		:: cut -> forget(); cut = false
		:: !cut
		fi
	od
#else

end:	do
#ifdef FSYNC
	:: GO
		if
		:: s == 0 -> sync()
		:: s == 1 -> p = 0; fsync()
		fi
#else
	:: GO sync()
#endif
	od
#endif
}

#ifdef HANDOVER
proctype Hander()
{
	byte t = NS, p;

end:	do
	:: GO hand_over()
	:: GO take_back()
	od
}
#endif

#ifdef BESIDE
/* The kernel's part of an fsync. */
proctype Fsyncer()
{
	byte t = NS, p;

end:	do
	:: GO
#ifdef BREAK_BESIDE_OWN
		syncing = 1;
		kernel_sync();
		syncing = 0;
#else
		syncing++;
		kernel_sync();
		syncing--;
#endif
		p = 0
	od
}
#endif

#ifdef SIGNALS
proctype Handler()
{
	byte lowest, s = 2, t = 0, m, p, hand, failed, kind;
	bool err;
#ifdef LATER
	byte later;
#endif

end:	do
	:: atomic { !stop && !HAS(blocked, 0) && !interrupted -> interrupted = true };
		if
		:: sync()
		:: store()
		fi;
		interrupted = false
	od
}
#endif

#ifdef ALIAS
/*
 * mmap() of the same file. The kernel makes it writable before the library
 * knows its address; no thread can use it before the call returns. The marks
 * are set under the page locks: a sync that has gone through the list before
 * the mapping was in it may still be about to unmark.
 */
proctype Mapper()
{
	byte p;

	open[1] = ALL(NP);
#ifdef BREAK_M1_ALIAS
	SET(usable, 1);
#endif
	SET(listed, 1);
	do
	:: p == NP -> break
	:: p < NP ->
#ifndef BREAK_M1_ALIAS_LOCK
		lock(p);
#endif
		SET(DIRTY, p);
#ifndef BREAK_M1_ALIAS_LOCK
		unlock(p);
#endif
		p++
	od;
	SET(usable, 1)
}
#endif

#ifdef EVICT
proctype Evict()
{
end:	do
	:: d_step { at(NEWEST, 0) == CACHE ->
		for (i : 0 .. NEWEST) {
			at(i, 0) = DURABLE
		}
		i = 0 }
	od
}
#endif

#ifdef STOP
proctype Stop()
{
	stop = true
}
#endif

/*
 * The power may fail in any state. In most nothing promised would be missing;
 * such a cut ends the run with nothing to report. So this process waits for a
 * state in which a cut loses what a sync that has returned 0 promised.
 */
#if NP > 1
#define KEPT(s) (HAS(calling, s) || (at(s, 0) == DURABLE && at(s, 1) == DURABLE))
#else
#define KEPT(s) (HAS(calling, s) || at(s, 0) == DURABLE)
#endif
#ifdef SIGNALS
#define PROMISES_KEPT (KEPT(0) && KEPT(1) && KEPT(2))
#else
#define PROMISES_KEPT (KEPT(0) && KEPT(1))
#endif

/* V1: a page not marked, not being flushed and closed everywhere is durable.
   V2: a page that is writable in any mapping is marked. Both while unlocked,
   and where the mapping is known. */
#if NM > 1
#define OPEN(p) (HAS(open[0], p) || (HAS(usable, 1) && HAS(open[1], p)))
#else
#define OPEN(p) HAS(open[0], p)
#endif
#ifdef BESIDE			/* the kernel may have it on its way */
#define UNSEEN (syncing != 0)
#else
#define UNSEEN false
#endif
#define V1(p) (!(KNOWN) || UNSEEN || HAS(LOCK | FLUSHING | DIRTY, p) || OPEN(p) || at(NEWEST, p) == DURABLE)
#define V2(p) (!(KNOWN) || HAS(LOCK, p) || !OPEN(p) || HAS(DIRTY, p))

proctype PowerCut()
{
end:	if
	:: atomic { !PROMISES_KEPT -> assert(PROMISES_KEPT) }
#ifdef INVARIANTS
	:: atomic { !V1(0) -> assert(V1(0)) }
	:: atomic { !V2(0) -> assert(V2(0)) }
#if NP > 1
	:: atomic { !V1(1) -> assert(V1(1)) }
	:: atomic { !V2(1) -> assert(V2(1)) }
#endif
#endif
	fi
}

init
{
	atomic {
#ifdef DISCOVER
		open[0] = ALL(NP);
#endif
		run Syncer(0);		/* _pid 1, see MAY_RUN */
		run Syncer(1);
		run Storer(0);
#if NW > 1
		run Storer(NM - 1);
#endif
#ifdef SIGNALS
		run Handler();
#endif
#ifdef ALIAS
		run Mapper();
#endif
#ifdef HANDOVER
		run Hander();
#endif
#ifdef BESIDE
		run Fsyncer();
#endif
#ifdef STOP
		run Stop();
#endif
#ifdef EVICT
		run Evict();
#endif
		run PowerCut()
	}
}
