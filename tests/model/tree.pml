// SPDX-License-Identifier: BSD-3-Clause
/*
 * The summaries of daxsync's radix tree, for one kind of mark.
 *
 *        root          one slot, for mid
 *          |
 *         mid          two slots, for leaf 0 and leaf 1
 *        /   \
 *   leaf 0   leaf 1    marks 0 and 1 in leaf 0, mark 2 in leaf 1
 *
 * A slot of mid or root is two bits of one atomic word:
 *   SET        the child may hold something
 *   CLEARING   somebody is finding out whether it still does
 * With neither, nothing is below. A slot may say too much, never too little.
 *
 * Checked: a walk finds mark 0 if mark() of it had returned before the walk
 * began and it was not unmarked since. (Marks are alike, so are leaves: what
 * holds for mark 0 holds for all; 1 and 2 are there to disturb.) Two markers,
 * two collectors that unmark and prune, one walker; each goes on for ever.
 *
 * Memory is sequentially consistent, as the code's seq_cst operations are
 * among themselves. One statement is one atomic operation of the code; ghost
 * variables change in the step that they describe. Macros BREAK_* each put in
 * one deliberate bug (doc/model.md).
 */

#define MID	2		/* nodes: leaves 0 and 1, mid, root */
#define ROOT	3
#define parent(n)	((n) < MID -> MID : ROOT)
#define slot(n)		((n) < MID -> (n) : 0)
#define SET(n)		(1 << slot(n))
#define CLEARING(n)	(16 << slot(n))
#define BOTH(n)		(SET(n) | CLEARING(n))
#define leaf_of(k)	((k) / 2)
#define mark_bit(k)	(1 << ((k) % 2))

byte word[4];

/* Ghosts, for mark 0. */
bool due;			/* a walk that begins now must find it */
bool wanted;			/* the walk in progress must find it */
bool placing[2];		/* marker i has placed it, and nobody has removed
				   it since; mark() has not returned */

#define choose(k) select(k : 0 .. 2)

/* mark() returns with its last access. */
#define RETURN due = due || placing[me]; placing[me] = false; leaf = 0

/* dxs_tree_mark(): bottom-up, and always up to the root. */
proctype Marker(byte me)
{
	byte k, leaf;

	do
	:: atomic {
		choose(k);
		leaf = leaf_of(k);
#ifdef BREAK_MARK_DOWN
	   }
	   word[ROOT] = word[ROOT] | SET(MID);
	   word[MID] = word[MID] | SET(leaf);
	   atomic {
#endif
#ifdef BREAK_MARK_SEEN
		if
		:: word[leaf] & mark_bit(k) ->
			placing[me] = (k == 0); k = 0; RETURN; goto next
		:: else
		fi;
#endif
		word[leaf] = word[leaf] | mark_bit(k);
		placing[me] = (k == 0);
		k = 0
#ifdef BREAK_MARK_DOWN
		; RETURN; goto next
#endif
	   }

	   /* The summary in mid. */
	   if
#if defined(BREAK_MARK_EARLY)
	   :: atomic { word[MID] & SET(leaf) -> RETURN; goto next }
	   :: else -> word[MID] = word[MID] | SET(leaf)
#elif defined(BREAK_MARK_CLEARING)
	   :: word[MID] & BOTH(leaf)
	   :: else -> word[MID] = word[MID] | SET(leaf)
#else
	   :: word[MID] & SET(leaf)
	   :: else -> word[MID] = word[MID] | SET(leaf)
#endif
	   fi;

	   /* The summary in root. */
	   if
#ifdef BREAK_MARK_CLEARING
	   :: atomic { word[ROOT] & BOTH(MID) -> RETURN }
#else
	   :: atomic { word[ROOT] & SET(MID) -> RETURN }
#endif
	   :: else -> atomic { word[ROOT] = word[ROOT] | SET(MID); RETURN }
	   fi;
next:
	od
}

/*
 * A sync unmarks; whoever empties a node prunes above it: dxs_tree_prune().
 * n is the empty node, whose parent may have one summary too many.
 */
proctype Collector()
{
	byte k, n;

	do
	:: atomic {
		choose(k);
		n = leaf_of(k);
		word[n] = word[n] & ~mark_bit(k);
		if
		:: k == 0 -> due = false; wanted = false;
			placing[0] = false; placing[1] = false
		:: else
		fi;
		k = 0;
		if
		:: word[n] == 0
		:: else -> goto done
		fi }
prune:
#if defined(BREAK_PLAIN_CLEAR)
	   word[parent(n)] = word[parent(n)] & ~SET(n);
	   if
	   :: word[n] == 0 -> goto up
	   :: else -> word[parent(n)] = word[parent(n)] | SET(n); goto done
	   fi;
#elif defined(BREAK_TWO_WORDS)
	   atomic {
		if
		:: word[parent(n)] & CLEARING(n) -> goto done
		:: else -> word[parent(n)] = word[parent(n)] | CLEARING(n)
		fi }
	   word[parent(n)] = word[parent(n)] & ~SET(n);
	   goto recheck;
#elif defined(BREAK_CLEAR_AFTER)
	   if
	   :: word[n] == 0 -> word[parent(n)] = word[parent(n)] & ~SET(n); goto up
	   :: else -> goto done
	   fi;
#endif
	   /* Compare-and-swap, from SET alone to CLEARING alone. Whoever finds
	      anything else gives up: another collector is at it, or a marker
	      has come in behind one. */
	   atomic {
		if
#ifdef BREAK_TWO_CLEARERS
		:: word[parent(n)] & SET(n) ->
#else
		:: (word[parent(n)] & BOTH(n)) == SET(n) ->
#endif
			word[parent(n)] = word[parent(n)] & ~SET(n) | CLEARING(n)
		:: else -> goto done
		fi }

	   /* Is it still empty? If not, SET comes back before CLEARING goes. */
recheck:
	   if
	   :: word[n] == 0
#ifdef BREAK_PUT_BACK_LATE
	   :: else ->
		word[parent(n)] = word[parent(n)] & ~CLEARING(n);
		word[parent(n)] = word[parent(n)] | SET(n);
		goto done
#else
	   :: else -> word[parent(n)] = word[parent(n)] | SET(n)
#endif
	   fi;

	   /* If a marker has set SET meanwhile, it stays. */
	   atomic {
		word[parent(n)] = word[parent(n)] & ~CLEARING(n);
up:		if
		:: n < MID && word[MID] == 0 -> n = MID; goto prune
		:: else
		fi;
done:		n = 0 }
	od
}

/* A sync's walk, as far as mark 0 is concerned: one read of each word. */
inline look(n)
{
	if
#if defined(BREAK_WALK_SET)
	:: word[parent(n)] & SET(n)
	:: else -> goto missed
#elif defined(BREAK_TWO_WORDS)
	:: word[parent(n)] & SET(n)
	:: else ->
		if
		:: word[parent(n)] & CLEARING(n)
		:: else -> goto missed
		fi
#else
	:: word[parent(n)] & BOTH(n)
	:: else -> goto missed
#endif
	fi
}

proctype Walker()
{
	do
	:: atomic { due -> wanted = true };
	   look(MID);
	   look(0);
	   if
	   :: atomic { word[0] & mark_bit(0) -> wanted = false }
	   :: else
	   fi;
missed:	   assert(!wanted)
	od
}

init
{
	atomic {
		run Marker(0);
		run Marker(1);
		run Collector();
		run Collector();
		run Walker()
	}
}
