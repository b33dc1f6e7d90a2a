// SPDX-License-Identifier: BSD-3-Clause
/*
 * daxsync's observer: in which order it is told of stores, marks, flushes,
 * fences and kernel syncs, and what that makes of the durable image.
 *
 * One line of one page. Values are numbers, the newest is the highest; so the
 * number of stores is bounded (TOP), and nothing else. Checked:
 *
 *   ahead    the image holds nothing that the machine could still lose; else a
 *            flush that was left out would go unseen
 *   behind   the image holds what a sync that has returned 0 has promised; else a
 *            power cut shows a loss that is none
 *   alarm    the verifier does not complain, as nothing is lost
 *   silent   it does where something is lost (CAUGHT), when the last sync ends
 *
 * doc/model.md maps every name to the code. One statement is one access to what
 * threads share. What sync.pml is about (walk, summaries, aliases) is one step.
 *
 * Set with -D:
 *   TOP=n       the newest value that is stored or written; the first is 1
 *   ERRORS      any flush may fail
 *   KWRITE      a thread writes by write(2), another one calls fsync
 *   PROCESSES   another process comes, stores, syncs and goes; while it is there
 *               the kernel's sync follows every sync
 *   CUT         the power fails at any moment
 *               (in these two the page stays open, and nothing is verified)
 *   CAUGHT      sync 0 leaves out its flush; nobody stores
 *   BREAK_*     one deliberate bug
 */

#ifndef TOP
#define TOP 3
#endif
#ifdef PROCESSES
#define NQ 2			/* processes */
#else
#define NQ 1
#endif
#if defined(PROCESSES) || defined(CUT)
#define UNCHECKED		/* no verifier: V1 to V5 */
#endif
#define NT 3			/* threads that flush or sync */

/* ---- The machine ------------------------------------------------------- */

byte newest = 1;		/* what the line holds, in the cache */
byte written = 1;		/* what was written back last: other than newest,
				   the line is dirty, else CLWB does nothing */
byte coming[NT];		/* what a thread has on its way; 0: nothing */
byte durable = 1;
byte stored = 1;		/* newest value whose store or write has ended */

inline clwb()
{
	d_step {
		if
		:: written != newest -> written = newest; coming[t] = newest
		:: else
		fi
	}
}

inline sfence()
{
	d_step {
		if
		:: coming[t] > durable -> durable = coming[t]
		:: else
		fi;
		coming[t] = 0
	}
}

/* ---- The core, in each process ----------------------------------------- */

bool DIRTY[NQ], FLUSHING[NQ], LOCK[NQ], open[NQ];
bool again[2];			/* a flush has failed since sync s began */

#define lock()		atomic { !LOCK[q] -> LOCK[q] = true }
#define unlock()	LOCK[q] = false
#define claim()		atomic { !FLUSHING[q] -> FLUSHING[q] = true }

/* ---- The observer ------------------------------------------------------ */

byte image = 1;
byte snap[NT];			/* what a thread has staged; 0: nothing */
bool event[2];			/* DXS_EVENT_FLUSH since sync s began */
byte promised;			/* by syncs that have returned 0 */
bool complained;

#ifdef CAUGHT
byte inside;			/* syncs in progress: one that has claimed the page
				   may excuse it, and looks when it ends */
#define alarm()	complained = true
#else
#define alarm()	assert(false)
#endif

#ifdef CUT
bool frozen;
#endif
#ifdef KWRITE
bool KMARK;			/* DXS_KWRITE */
byte nr_kwrites, kwriters;
#define NOBODY	255		/* NOT_VERIFIED */
byte changes, synced;		/* kernel_changes, kernel_synced */
#define UNVERIFIED	(kwriters != 0)
#define DISTURBED	(kwriters != 0 || KMARK)
#endif
#ifdef PROCESSES
byte announced, exclusive_at;	/* the registry; what process 0 knows of it */
bool left;			/* process 1 has gone, in good order */
bool publisher;			/* dxs_run_publish_begin() */
#define NEVER		9
#define WRITERS		((q == 0 && announced == exclusive_at) -> announced : NEVER)
#define publish_lock()	atomic { !publisher -> publisher = true }
#define publish_unlock() publisher = false
#endif
#ifndef DISTURBED
#define UNVERIFIED	false
#define DISTURBED	false
#endif

/* V1: closed, not marked, not being flushed: equal to the image (check_locked). */
inline verify()
{
	lock();
	if
	:: UNVERIFIED || open[q] -> goto verified
	:: !UNVERIFIED && !open[q]
	fi;
	if
	:: DIRTY[q] -> goto verified
	:: !DIRTY[q]
	fi;
	if
	:: FLUSHING[q] -> goto verified
	:: !FLUSHING[q]
	fi;
	if
	:: image == newest -> goto verified
	:: image != newest
	fi;
	if
	:: DISTURBED -> goto verified
	:: !DISTURBED
	fi;
#ifdef BREAK_EXCUSED_ONCE
	alarm();
#else
	if
	:: DIRTY[q]
	:: !DIRTY[q] -> alarm()
	fi;
#endif
verified:
	unlock()
}

/* V3: taken up and left open: flushed by this thread, or equal. */
inline verify_taken()
{
	if
	:: closed || failed || snap[t] != 0
	:: !closed && !failed && snap[t] == 0 ->
		if
		:: image == newest
		:: image != newest -> alarm()
		fi
	fi
}

/* V4: marked when the sync began: flushed by somebody since, or equal. */
inline verify_end()
{
	if
	:: err || !due || event[s] || DISTURBED
	:: !err && due && !event[s] && !DISTURBED ->
		if
		:: image == newest || DISTURBED
		:: image != newest && !DISTURBED -> alarm()
		fi
	fi
}

/* dxs_image_publish(): what it has staged, or what is there now (I.3). */
inline publish()
{
#ifdef PROCESSES
	if
	:: snap[t] == 0
	:: snap[t] != 0 ->
#ifndef BREAK_PUBLISH_UNLOCKED
		publish_lock();
#endif
		if
#if defined(BREAK_OLDER_PROCESS)
		:: true
#elif defined(BREAK_EXCLUSIVE_NOW)
		:: WRITERS == NEVER -> snap[t] = newest
		:: WRITERS != NEVER
#elif defined(BREAK_EXCLUSIVE_THEN)
		:: seen == NEVER -> snap[t] = newest
		:: seen != NEVER
#else
		:: seen == NEVER || WRITERS != seen -> snap[t] = newest
		:: seen != NEVER && WRITERS == seen
#endif
		fi;
		image = snap[t];
#ifndef BREAK_PUBLISH_UNLOCKED
		publish_unlock();
#endif
		snap[t] = 0
	fi
#else
	atomic {
		if
		:: snap[t] != 0 -> image = snap[t]
		:: else
		fi;
		snap[t] = 0
	}
#endif
}

inline say_flushed()		/* DXS_EVENT_FLUSH */
{
	atomic { event[0] = true; event[1] = true }
}

inline flush()
{
	clwb();			/* what faults is not told of */
#ifndef BREAK_SNAP_EARLY
#ifdef PROCESSES
	seen = WRITERS;
#endif
	snap[t] = newest;
#endif
#ifndef BREAK_SNAP_LATE
	clwb()
#endif
}

inline sync()
{
#ifdef CAUGHT
	atomic { required = stored; inside++ };
#else
	required = stored;
#endif
#ifdef KWRITE
	asked = (kwriters == 0 -> nr_kwrites : NOBODY);
#endif
#ifdef UNCHECKED
#elif defined(BREAK_DUE_FIRST)
	due = DIRTY[q];
	event[s] = false;
#else
	event[s] = false;		/* dxs_verify_begin() */
	due = DIRTY[q];
#endif
begin:
#ifdef ERRORS
	again[s] = false;
#endif
	if
	:: DIRTY[q] || FLUSHING[q]
	:: !DIRTY[q] && !FLUSHING[q] -> goto flushed
	fi;
#ifdef BREAK_SNAP_EARLY
	snap[t] = newest;
#endif
#ifndef BREAK_OLDER_THREAD
#ifdef CUT
end_waiting:			/* for one that has met the cut */
#endif
	claim();
#endif
	if
	:: DIRTY[q]
	:: !DIRTY[q] -> FLUSHING[q] = false; snap[t] = 0; goto flushed
	fi;
#ifdef BREAK_EVENT_EARLY
	say_flushed();
#endif
#ifndef UNCHECKED			/* there the page is left open */
	if
	:: true				/* left open */
	:: lock();
		open[q] = false;
		DIRTY[q] = false;
		unlock();
		closed = true
	fi;
#endif
#if !defined(BREAK_EVENT_EARLY) && !defined(UNCHECKED)
	say_flushed();
#endif
	if
#ifdef CAUGHT
	:: s == 0
	:: s != 0 -> flush()
#else
	:: flush()
#endif
#ifdef ERRORS
#ifdef BREAK_FAILED_SEEN
	:: snap[t] = newest; failed = true
#else
	:: failed = true
#endif
#endif
	fi;
#if !defined(BREAK_TAKEN_LATE) && !defined(UNCHECKED)
	verify_taken();
#endif
#ifdef BREAK_PUBLISH_FIRST
	publish();
	sfence();
#else
	sfence();
#ifdef BREAK_RELEASE_FIRST
	FLUSHING[q] = false;
#endif
	publish();
#endif
#ifdef BREAK_TAKEN_LATE
	verify_taken();
#endif
#if defined(CUT) && !defined(BREAK_FROZEN)
end_frozen:
	!frozen;			/* I.1: or it waits for ever */
#endif
#ifdef BREAK_CHECK_FIRST
	verify();
#endif
#ifdef ERRORS
	if
	:: failed -> DIRTY[q] = true;
		atomic { again[0] = true; again[1] = true; err = true }
	:: !failed
	fi;
#endif
#ifndef BREAK_RELEASE_FIRST
	FLUSHING[q] = false;
#endif
flushed:
#ifdef ERRORS
	if
	:: again[s] && !err -> goto begin
	:: !again[s] || err
	fi;
#endif
#ifndef UNCHECKED
	verify_end();
#ifndef BREAK_CHECK_FIRST
	verify();
#endif
#endif
#ifdef PROCESSES
	if
	:: WRITERS == NEVER -> kernel_copy()
	:: WRITERS != NEVER
	fi;
#endif
#ifdef KWRITE
	if
	:: changes != synced -> kernel_part()
	:: changes == synced
	fi;
	/* V5: written by the kernel before the call, published by now. */
	if
	:: err || asked == NOBODY || !KMARK
	:: !err && asked != NOBODY && KMARK ->
		if
		:: nr_kwrites != asked
		:: nr_kwrites == asked -> alarm()
		fi
	fi;
#endif
	atomic {
		if
		:: !err && required > promised -> promised = required
		:: else
		fi;
#ifdef CAUGHT
		inside--;
		assert(inside != 0 || durable >= promised || complained);
#endif
		required = 0; due = false; err = false; failed = false; closed = false
#ifdef KWRITE
		; asked = 0
#endif
#ifdef PROCESSES
		; seen = 0
#endif
	}
}

/* ---- The kernel's sync -------------------------------------------------- */
/*
 * It comes when the observer is told that it has been (page_compare): the
 * kernel's flush, and the copy of what differs. Nobody of this process's flushes
 * the page meanwhile.
 */
inline kernel_copy()
{
	if
	:: image == newest -> goto copied
	:: image != newest
	fi;
#ifndef BREAK_COPY_UNHELD
	claim();
	lock();
#endif
#ifdef PROCESSES
#ifndef BREAK_COPY_UNLOCKED
	publish_lock();
#endif
	now = newest;
	image = now;
#ifndef BREAK_COPY_UNLOCKED
	publish_unlock();
#endif
#else
	if
	:: KMARK -> atomic { clwb(); sfence(); now = newest }; image = now
	:: !KMARK
	fi;
#endif
#ifndef BREAK_COPY_UNHELD
	unlock();
	FLUSHING[q] = false;
#endif
copied:	now = 0
}

#ifdef KWRITE
inline kernel_part()
{
	pending = changes;
	before = nr_kwrites;
	kernel_copy();
#ifdef BREAK_MARK_CLEARED
	KMARK = false;
#else
	atomic {			/* kwrite_clear() */
		if
		:: nr_kwrites == before -> KMARK = false
		:: else
		fi
	};
#endif
	atomic {
		if
		:: pending > synced -> synced = pending
		:: else
		fi;
		pending = 0; before = 0
	}
}
#endif

/* ---- Processes ---------------------------------------------------------- */

inline store()
{
	if
	:: atomic { open[q] && newest < TOP -> newest++; stored = newest }
	:: !open[q] ->			/* the trap */
		lock();
		DIRTY[q] = true;
		open[q] = true;
		unlock()
	fi
}

proctype Storer()
{
	byte q;

end:	do
	:: newest < TOP -> store()
	od
}

proctype Syncer(byte s)
{
	byte t = s, q, required, now;
	bool due, closed, failed, err;
#ifdef KWRITE
	byte asked, pending, before;
#endif
#ifdef PROCESSES
	byte seen;
#endif

end:	do
	:: sync()
	od
}

#ifdef KWRITE
proctype Writer()
{
end:	do
	:: newest < TOP ->
		changes++;		/* dxs_kwrite_begin() */
		kwriters++;
#ifdef BREAK_WRITTEN_FIRST
		atomic { nr_kwrites++; KMARK = true };
		newest++;
#else
		newest++;
#endif
#ifdef BREAK_WRITER_GONE
		kwriters--;
#endif
#ifndef BREAK_WRITTEN_FIRST
		atomic { nr_kwrites++; KMARK = true };	/* dxs_image_written() */
#endif
#if !defined(BREAK_WRITER_GONE) && !defined(BREAK_WRITER_EARLY)
		changes++;
		kwriters--
#elif defined(BREAK_WRITER_EARLY)
		kwriters--;
		changes++
#else
		changes++
#endif
		;
		atomic { stored = newest }
	od
}

proctype Fsyncer()
{
	byte t = 2, q, required, now, pending, before;

end:	do
	:: kernel_part()
	od
}
#endif

#ifdef PROCESSES
/* A process that announces itself, stores and syncs, and leaves nothing behind. */
proctype Other()
{
	byte s = 1, t = 1, q = 1, required, now, seen;
	bool due, closed, failed, err, leaving;

	announced++;
	do
	:: newest < TOP -> store()
	:: leaving = true; goto call
	:: true ->
call:		sync();
		if
		:: leaving -> left = true; break
		:: !leaving
		fi
	od
}

/* A kernel sync of the whole file, by another thread of process 0. */
proctype Fsyncer()
{
	byte t = 2, q, now;
	byte ticket = NEVER;

end:	do
	:: WRITERS == NEVER ->
		ticket = (left -> announced : NEVER);
		kernel_copy();
		if
		:: ticket == announced -> exclusive_at = ticket
		:: ticket != announced
		fi;
		ticket = NEVER
	od
}
#endif

#ifdef CUT
/* dxs_powercut(): a line that differs may have been written back (page_toss). */
proctype Cutter()
{
	byte now;

	frozen = true;
	now = newest;
	image = now
}
#endif

proctype PowerCut()
{
end:	if
#if !defined(PROCESSES) && !defined(CUT)
	:: atomic { image > durable -> assert(image <= durable) }
#endif
#ifndef CAUGHT
	:: atomic { image < promised -> assert(image >= promised) }
#endif
	fi
}

init
{
	atomic {
#ifdef UNCHECKED
		open[0] = true; DIRTY[0] = true;
#endif
#ifdef PROCESSES
		open[1] = true; DIRTY[1] = true;
#endif
#ifdef CAUGHT
		newest = 2; stored = 2;
		open[0] = true; DIRTY[0] = true;
#else
		run Storer();
#endif
		run Syncer(0);
#ifdef KWRITE
		run Writer();
		run Fsyncer();
#elif defined(PROCESSES)
		run Other();
		run Fsyncer();
#else
		run Syncer(1);
#endif
#ifdef CUT
		run Cutter();
#endif
		run PowerCut()
	}
}
