//! Every limit of the house, with its unit. Nothing waits, retries, queues or grows without one of these.

/// The largest frame that either side sends or accepts, bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The largest whole message (a request, a reply, a manifest) over all its frames, bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// A request or reply that is kept as a dictionary for those after it, at most, bytes.
pub const SAID_MESSAGE_BYTES_MAX: usize = 8 << 10;
/// All that is kept of a channel as a dictionary, bytes.
pub const SAID_BYTES_MAX: usize = 32 << 10;
/// The largest message that several hosts may be sending at once, bytes; of larger ones one is read at a time.
pub const MESSAGE_SHARED_BYTES_MAX: usize = 4 << 20;
/// Messages of more than one frame that are read at the same time: with [`MESSAGE_SHARED_BYTES_MAX`], what hosts can make the
/// controller keep in memory however many of them lie.
pub const MESSAGES_LARGE_MAX: usize = 16;
/// Noise that a host's shell may print before the agent's first frame, bytes.
pub const NOISE_BYTES_MAX: usize = 64 << 10;
/// What is kept of a host's or a hook's stderr, bytes.
pub const STDERR_BYTES_MAX: usize = 16 << 10;
/// How far a host's clock may be from ours before a doctor says so, ms.
pub const CLOCK_SKEW_MS_MAX: u64 = 60_000;
/// Room for the books and content below which a doctor says so, bytes: a few trees of a large release.
pub const DOCTOR_FREE_BYTES: u64 = 4 << 30;
/// How long a program may take to say its version, ms.
pub const DOCTOR_TOOL_MS_MAX: u64 = 10_000;
/// How far back a doctor lets gates look, ms.
pub const DOCTOR_WINDOW_MS: u64 = 60_000;
/// The largest configuration file or dblist, bytes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Hosts that one range expression may name.
pub const RANGE_HOSTS_MAX: usize = 10_000;
/// The largest version map, bytes as JSON.
pub const MAP_BYTES_MAX: usize = 4 << 20;
/// Files in one component.
pub const TREE_FILES_MAX: usize = 2_000_000;
/// Texts, numbers, lists and mappings of one configuration file together: each takes some hundred bytes of memory.
pub const CONFIG_NODES_MAX: usize = 40_000;
/// Lists that one expression of dblists may join.
pub const DBLIST_TERMS_MAX: usize = 256;
/// Gates of a site.
pub const GATES_MAX: usize = 200;
/// Hosts that all gates of a site together may name, each as often as it is named.
pub const GATES_HOSTS_MAX: usize = 100_000;
/// Depth of directories in one component.
pub const TREE_DEPTH_MAX: usize = 64;
/// Epochs above the median of all hosts' fences that a host's fence may claim before it is called absurd.
pub const FENCE_EPOCH_LEAP_MAX: u64 = 1_000_000;
/// How many confirmed maps a host keeps.
pub const CONFIRMED_MAX: usize = 2;
/// Names listed in a message before the rest are counted.
pub const NAMES_SHOWN_MAX: usize = 8;
/// Looks at a host within one undertaking that may lead to trying again.
pub const HOST_ATTEMPTS_MAX: u32 = 4;
/// How long a hook may run on a host before it is killed with all its children, ms.
pub const HOOK_MS_MAX: u64 = 3_600_000;
/// The largest file of the agent's own state but for a stat index, bytes.
pub const STATE_BYTES_MAX: usize = 16 << 20;
/// The largest text that is signed, and the largest signature, bytes each: what a pipe takes without anybody who reads.
pub const SIGNED_BYTES_MAX: usize = 32 << 10;
/// How long `ssh-keygen` may take to verify one signature, ms.
pub const VERIFY_MS_MAX: u64 = 10_000;
/// The most signers of one signature that are tried.
pub const SIGNERS_MAX: usize = 16;
/// The largest stat index of one component, bytes.
pub const INDEX_BYTES_MAX: usize = 256 << 20;
/// The largest saved plan, bytes.
pub const PLAN_BYTES_MAX: u64 = 64 << 20;
/// Undertakings of the past that a plan's time is estimated from.
pub const PAST_RUNS_MAX: usize = 9;
/// Rollouts, and snapshots, that are loaded with the books; older ones are read when they are asked for.
pub const BOOKS_RECENT_MAX: usize = 200;
/// How long a command waits for another one that is writing to the books, ms.
pub const BOOKS_BUSY_MS_MAX: u64 = 10_000;
/// How long a command that takes over waits for another one that is writing to the books before it ends it, ms.
pub const BOOKS_GRACE_MS: u64 = 2_000;
/// How long a process may take to be gone after SIGKILL, ms.
pub const BOOKS_END_MS_MAX: u64 = 5_000;
/// How often one access to the books is tried by a command that takes over, each time without whoever was in its way.
pub const BOOKS_ATTEMPTS_MAX: u32 = 4;
/// How often who only holds the lock looks whether somebody took it, ms.
pub const LOCK_LOOK_MS: u64 = 2_000;
/// Connecting to a server with the books: finding it, TLS and who we are, all together, ms.
pub const BOOKS_CONNECT_MS_MAX: u64 = 10_000;
/// One statement on a server with the books, ms; the server ends it then.
pub const BOOKS_STATEMENT_MS_MAX: u64 = 30_000;
/// How long a session may stand still within a transaction before the server ends it, ms: less than others wait.
pub const BOOKS_STANDSTILL_MS_MAX: u64 = 5_000;
/// Rows of one answer of a server with the books.
pub const BOOKS_ROWS_MAX: usize = 1_000_000;
/// All values of one answer of a server with the books, bytes.
pub const BOOKS_ANSWER_BYTES_MAX: usize = 512 << 20;
/// The largest row of the books, bytes.
pub const BOOKS_ROW_BYTES_MAX: usize = 64 << 20;
/// Events of the books that are read at a time.
pub const BOOKS_EVENTS_MAX: usize = 10_000;
/// What is shown of a text that a host made, characters.
pub const UNTRUSTED_SHOWN_MAX: usize = 300;
/// Putting the agent on one host, ms.
pub const INSTALL_MS_MAX: u64 = 120_000;
/// Idle time after which ssh asks a host whether it is still there, s; after three such silences the connection is over.
pub const SSH_ALIVE_S: u64 = 5;
/// Idle time after which an ssh master that lost its pointsman ends by itself, s.
pub const SSH_IDLE_S_MAX: u64 = 60;
/// Idle time after which a connection that is kept for the next command ends, where groups.yaml does not say, s: what
/// lies between two commands of somebody at work. A master takes 1.4 MB.
pub const SSH_KEEP_S: u64 = 600;
/// The longest such time that a site may ask for, s: what was once authenticated is not used for longer than a day.
pub const SSH_KEEP_S_MAX: u64 = 86_400;
/// Age from which on it is looked whether a kept connection's socket still has a master, s.
pub const SSH_KEPT_SWEEP_S: u64 = 3_600;
/// How long a kept connection may take to answer before a new one is opened beside it, ms.
pub const SSH_KEPT_ALONE_MS: u64 = 500;
/// Kept connections to one host that are looked at; more than one come from commands that ran at the same time.
pub const SSH_KEPT_TRIED_MAX: usize = 8;
/// Files of ssh's configuration that are followed; with more of them connections are not kept.
pub const SSH_CONFIG_FILES_MAX: usize = 256;
/// How deep one of ssh's configuration files may include others, as in ssh itself.
pub const SSH_CONFIG_DEPTH_MAX: usize = 16;
/// Characters that are kept of a host's or ssh's words in a fault.
pub const FAULT_CHARS_MAX: usize = 240;
/// The largest answer to anything but a prepare (whose answer may list files), bytes; two maps fit.
pub const REPLY_BYTES_MAX: usize = 16 << 20;
/// Nesting of sequences and mappings in a configuration file.
pub const CONFIG_DEPTH_MAX: usize = 32;
/// Mistakes that are listed before the rest are counted.
pub const DIAGNOSTICS_MAX: usize = 100;
/// How deep one dblist's expression may lead to others.
pub const DBLIST_DEPTH_MAX: usize = 16;
/// Dblist files that one configuration may read.
pub const DBLIST_FILES_MAX: usize = 256;
/// A reason, an owner or another line that a person writes, bytes.
pub const LINE_BYTES_MAX: usize = 1000;
/// The largest duration that a limit of the site may name, ms: a week.
pub const SITE_LIMIT_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// The largest number of hosts talked to at the same time that a site may ask for.
pub const SITE_PARALLEL_HOSTS_MAX: u64 = 4096;
/// Lines of one part of the status screen (stale hosts, pins, owed hosts) before the rest are counted.
pub const STATUS_LINES_MAX: usize = 24;
/// A page or a file that the demo's web tier reads or serves, bytes.
pub const DEMO_PAGE_BYTES_MAX: u64 = 64 << 10;
/// Requests that all of the demo's web servers answer at the same time.
pub const DEMO_CONNECTIONS_MAX: usize = 128;
/// Asking one of the demo's web servers for one page, and one request's headers to arrive, ms.
pub const DEMO_PAGE_MS_MAX: u64 = 5_000;
/// The demo's web tier coming up, and ending when it is asked to, ms.
pub const DEMO_WEB_MS_MAX: u64 = 10_000;
/// The syntax check of one file before it is synced, ms.
pub const LINT_MS_MAX: u64 = 20_000;
/// Lines of samples that are kept with one judgement of a gate.
pub const SAMPLES_KEPT_MAX: usize = 16;
/// The longest duration in a configuration file, ms: a year.
pub const DURATION_MS_MAX: u64 = 366 * 86_400_000;
/// Signatures that one record of the books names.
pub const SIGNATURES_SHOWN_MAX: usize = 200;
/// Signatures that the books remember; the longest unseen ones are forgotten.
pub const SIGNATURES_KNOWN_MAX: usize = 10_000;
/// What one reading of a log file takes at most, bytes; as JSON its answer is below [`REPLY_BYTES_MAX`].
pub const TAIL_BYTES_MAX: u64 = 2 << 20;
/// How far a reading of a log file may lag behind its end before the oldest lines are skipped, bytes.
pub const TAIL_BEHIND_BYTES_MAX: u64 = 64 << 20;
/// What is taken of one line of a log file, bytes.
pub const LOG_LINE_BYTES_MAX: usize = 32 << 10;
/// Log files that one question may name.
pub const LOG_FILES_MAX: usize = 64;
/// How long a plugin may run before it is killed with all its children, ms.
pub const PLUGIN_MS_MAX: u64 = 300_000;
/// What is kept of what a plugin prints, bytes; the rest is read and forgotten.
pub const PLUGIN_OUTPUT_BYTES_MAX: usize = 8 << 10;
/// What is looked at of a log line to make its signature, bytes.
pub const SIGNATURE_INPUT_BYTES_MAX: usize = 16 << 10;
/// A signature, characters.
pub const SIGNATURE_CHARS_MAX: usize = 400;
/// How often one reading goes on with a log file of a host that has more, each time [`TAIL_BYTES_MAX`].
pub const TAIL_ROUNDS_MAX: usize = 8;
/// Asking a host's agent for facts or for the end of a log file, ms.
pub const ASK_MS_MAX: u64 = 15_000;
/// Different signatures that one gate tells apart; further ones count as one.
pub const SIGNATURES_MAX: usize = 2_000;
/// What a probe reads of one answer, bytes.
pub const PROBE_BODY_BYTES_MAX: usize = 1 << 20;
/// What is shown of an answer in a probe's sentence, characters.
pub const PROBE_WORDS_MAX: usize = 80;
/// Cookies that one answer may set.
pub const COOKIES_MAX: usize = 50;
/// The largest answer of a monitoring system, bytes.
pub const PROVIDER_BODY_BYTES_MAX: usize = 16 << 20;
/// One question to a monitoring system, ms.
pub const PROVIDER_MS_MAX: u64 = 15_000;
/// What a program that prints numbers may print, bytes.
pub const PROVIDER_PROGRAM_BYTES_MAX: usize = 1 << 20;
/// How long a signature that is not seen is remembered, ms: a year, as a gate's look-back can be at most.
pub const SIGNATURES_MS_MAX: u64 = DURATION_MS_MAX;
/// How often it is looked whether a person answered, ms.
pub const APPROVAL_MS_MAX: u64 = 1_000;
/// Sessions that the demo's web tier keeps.
pub const DEMO_SESSIONS_MAX: usize = 1_000;
/// A visitor's name in the demo, characters.
pub const DEMO_USER_CHARS_MAX: usize = 40;
/// One log of one host of the demo, bytes; the one before it has as many.
pub const DEMO_LOG_BYTES_MAX: u64 = 2 << 20;
/// Redirects that one step of a probe may follow.
pub const REDIRECTS_MAX: u32 = 20;
/// Steps of one journey.
pub const PROBE_STEPS_MAX: usize = 50;
/// How often one reading of a probe may try one host.
pub const PROBE_TRIES_MAX: u32 = 100;
/// How long one try of a probe, or one host's answers to served and contract, may take, ms.
pub const PROBE_MS_MAX: u64 = 300_000;
/// Hosts whose web servers one gate asks at the same time.
pub const PROBE_PARALLEL_HOSTS_MAX: usize = 64;
/// Documents of one page of a search.
pub const SEARCH_PAGE_DOCS: usize = 500;
/// Documents that one reading of an index takes at most, newest first.
pub const SEARCH_DOCS_MAX: usize = 10_000;
/// Different values of a field that a search tells apart: hosts, or wikis.
pub const SEARCH_TERMS_MAX: usize = 10_000;
/// Reading all pages of one search, ms.
pub const SEARCH_MS_MAX: u64 = 4 * PROVIDER_MS_MAX;
/// How long after its time a document may come into an index and is still seen, ms.
pub const SEARCH_LATE_MS_MAX: u64 = 120_000;
/// Points of the past that one question asks for; Prometheus refuses more than 11000.
pub const HISTORY_POINTS_MAX: usize = 10_000;
/// What one frame of a delta takes of memory on a host, its files and their old versions together, bytes.
pub const BUNDLE_FRAME_BYTES_MAX: u64 = 32 << 20;
/// The files of one frame of a pack together, bytes: what is sent again, at most, after a connection was cut.
pub const PACK_FRAME_BYTES_MAX: u64 = 8 << 20;
/// Bytes that a host lacks from which on a bundle is worth its work.
pub const BUNDLE_WORTH_BYTES: u64 = 64 << 10;
/// Files that a sync may delete from a component whatever share of it they are.
pub const DELETED_FILES_FREE: u64 = 4;
/// Runs of playbooks that are loaded with the books beside the unfinished ones.
pub const PLAYBOOKS_RECENT_MAX: usize = 20;
/// Stages of one playbook.
pub const PLAYBOOK_STAGES_MAX: usize = 100;
/// Items that one `run` of a playbook goes over.
pub const PLAYBOOK_ITEMS_MAX: u64 = 100_000;
/// Items of a `run` that are under way at the same time.
pub const PLAYBOOK_PARALLEL_MAX: u64 = 1000;
/// Frames of bundles that the deploy host keeps; the oldest go when there are more.
pub const BUNDLE_FRAMES_KEPT_MAX: usize = 512;
/// Threads that read, hash and pack on the deploy host, where it has so many processors.
pub const HASH_THREADS_MAX: usize = 8;
/// What gates measured, in lines of a timeline, before the rest are counted.
pub const TIMELINE_SAMPLES_MAX: usize = 3;
/// Time within which hosts to which the same happened share a line of a timeline, ms.
pub const TIMELINE_TOGETHER_MS: u64 = 60_000;
/// Events that whoever goes through the journal reads at a time; some hold a whole map.
pub const EVENTS_PAGE_MAX: usize = 500;
/// Events of an incident.
pub const INCIDENT_EVENTS_MAX: usize = 10_000;
/// Signals of an incident.
pub const INCIDENT_SIGNALS_MAX: usize = 200;
/// Incidents that are based on one another.
pub const INCIDENT_BASES_MAX: usize = 4;
/// What a policy test expects.
pub const POLICY_TEST_EXPECT_MAX: usize = 200;
/// Files and directories among which policy tests are looked for.
pub const POLICY_TEST_ENTRIES_MAX: usize = 10_000;
/// Directories within one another that are looked through for policy tests.
pub const POLICY_TEST_DEPTH_MAX: usize = 16;
/// Programs of agents that a host keeps: one of today, and those that a rollback of pointsman itself would need.
pub const AGENTS_KEPT_MAX: usize = 3;
/// Threads that read and hash on a host: a web server is at work there.
pub const PROOF_THREADS_MAX: usize = 4;
/// Files from which on more than one thread is worth its start, for a proof.
pub const PROOF_THREAD_FILES: usize = 64;
/// Bytes from which on more than one thread is worth its start, for a proof.
pub const PROOF_THREAD_BYTES: u64 = 4 << 20;
/// How far the threads of a look at L3 stand back behind the web server, in steps of nice: about a tenth of its share.
pub const PROOF_NICE: i32 = 10;
/// Files that a look at L2 hashes in each component beside those that are too young.
pub const SAMPLE_FILES: usize = 32;
/// Mirrors that a site may have: a host tries them one after another.
pub const MIRRORS_MAX: usize = 16;
/// The largest object that is brought through a mirror, bytes: the controller reads it whole to publish it.
pub const MIRROR_OBJECT_BYTES_MAX: u64 = 64 << 20;
/// Objects of one fetch; a pack of a large release has a hundred.
pub const FETCH_OBJECTS_MAX: usize = 2_000;
/// The smallest single file that is worth a request of its own to a mirror, bytes.
pub const FETCH_FILE_BYTES_MIN: u64 = 64 << 10;
/// How long a mirror may take to accept a connection or to send its next byte to a host, ms.
pub const FETCH_IDLE_MS_MAX: u64 = 5_000;
/// The slowest that a mirror may be to a host beyond [`FETCH_IDLE_MS_MAX`], bytes a millisecond: 2 Mbit a second.
pub const FETCH_BYTES_PER_MS_MIN: u64 = 256;
/// All that one fetch may take on a host, ms; a third of the default for one prepare.
pub const FETCH_MS_MAX: u64 = 300_000;
/// Objects that a mirror may lack in one fetch before a host stops asking it.
pub const FETCH_MISSING_MAX: u32 = 8;
/// The certificates that come with a fetch, bytes of PEM.
pub const FETCH_CA_BYTES_MAX: usize = 64 << 10;
/// Hosts that a mirror may fail before it is left alone for the rest of a command.
pub const MIRROR_FAILURES_MAX: usize = 3;
/// How long a presigned URL is good, s: as long as one prepare may take by default.
pub const MIRROR_URL_S: u64 = 900;
/// One request of the controller to a mirror beyond its bytes, its retries included, ms.
pub const MIRROR_MS_MAX: u64 = 10_000;
/// The slowest that a mirror may be to the controller, bytes a millisecond: 8 Mbit a second.
pub const MIRROR_BYTES_PER_MS_MIN: u64 = 1_024;
/// How often a request to a mirror is tried again.
pub const MIRROR_RETRIES_MAX: usize = 2;
/// What is read of a mirror's answer to the controller, bytes.
pub const MIRROR_ANSWER_BYTES_MAX: usize = 64 << 10;
/// Objects that are published to one mirror at the same time.
pub const MIRROR_PARALLEL_MAX: usize = 8;
/// The largest file of a mirror's keys, bytes.
pub const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;
/// The share of a prepare's time, as a divisor, that hosts wait for their proxy to serve, and for what is put on its shelf.
pub const PROXY_WAIT_SHARE: u32 = 4;
/// How long a proxy host may take to answer whether it holds a component, ms.
pub const PROXY_ANSWER_MS_MAX: u64 = 10_000;
/// How long a proxy host may take nothing of what is sent for its shelf, ms; hosts that wait for it hold their turns.
pub const SHELF_IDLE_MS_MAX: u64 = 5_000;
/// What the shelf of a proxy host takes of its disk in one session, bytes: packs of several large releases.
pub const SHELF_BYTES_MAX: u64 = 1 << 30;
/// The share of a proxy host's free disk, as a divisor, that its shelf may take.
pub const SHELF_FREE_SHARE: u64 = 4;
/// Objects on the shelf of a proxy host in one session.
pub const SHELF_OBJECTS_MAX: usize = 2 * FETCH_OBJECTS_MAX;
/// Connections that a proxy host serves at the same time.
pub const PROXY_CONNECTIONS_MAX: usize = 64;
/// A request's headers to arrive at a proxy host, and the pause between two requests of one connection, ms.
pub const PROXY_HEADER_MS_MAX: u64 = 10_000;
/// One connection to a proxy host, ms: as long as a host's fetch may take.
pub const PROXY_MS_MAX: u64 = FETCH_MS_MAX;
/// What a proxy host reads of a file at a time, bytes.
pub const PROXY_CHUNK_BYTES: usize = 64 << 10;
/// Notifiers that a site may have.
pub const NOTIFIERS_MAX: usize = 16;
/// Addresses that one notifier mails to.
pub const MAIL_RECIPIENTS_MAX: usize = 20;
/// Notices that wait for one notifier; with more it is told that there were more, and nothing else.
pub const NOTICES_WAITING_MAX: usize = 64;
/// Telling one notifier of one occasion, ms.
pub const NOTIFY_MS_MAX: u64 = 5_000;
/// How long the end of a command waits for notices that are still under way, ms.
pub const NOTIFY_FLUSH_MS_MAX: u64 = 8_000;
/// Lines of a notice below its first, before the rest are counted.
pub const NOTICE_LINES_MAX: usize = 20;
/// A line of a notice for IRC, bytes; a message there has 512 with its command, channel and sender.
pub const IRC_LINE_BYTES_MAX: usize = 400;
/// A message for syslog, bytes; receivers of RFC 3164 need to take 1024 with what stands before it.
pub const SYSLOG_TEXT_BYTES_MAX: usize = 900;
/// A line of a mail, columns; RFC 5322 allows 998 bytes.
pub const MAIL_COLUMNS_MAX: usize = 100;
/// Connections that the board answers at the same time, streams of events among them.
pub const BOARD_CONNECTIONS_MAX: usize = 128;
/// A request's line and headers to the board, bytes.
pub const BOARD_HEADER_BYTES_MAX: usize = 16 << 10;
/// A request's headers to arrive at the board, ms.
pub const BOARD_HEADER_MS_MAX: u64 = 10_000;
/// One connection to the board, ms; a browser begins its stream of events anew.
pub const BOARD_MS_MAX: u64 = 600_000;
/// A form that is sent to the board, bytes.
pub const BOARD_FORM_BYTES_MAX: usize = 8 << 10;
/// How often the board looks whether the journal has more, ms.
pub const BOARD_LOOK_MS: u64 = 500;
/// How many times as seldom it looks at books on a server.
pub const BOARD_LOOK_SHARED: u64 = 10;
/// How long whoever named a wrong token waits for the answer, ms; meanwhile no other token is looked at.
pub const BOARD_WRONG_MS: u64 = 1_000;
/// How often the board tries to read books that somebody writes just now.
pub const BOARD_TRIES_MAX: usize = 40;
/// The pause between two such tries, ms.
pub const BOARD_TRY_MS: u64 = 50;
/// Undertakings that the board lists.
pub const BOARD_ROLLOUTS: usize = 25;
/// People with a token.
pub const BOARD_PEOPLE_MAX: usize = 1_000;
/// What the system says of a user and its groups, s; a directory service may be silent.
pub const USER_S_MAX: u32 = 5;
