// How long requests wait on their way to an answer, and how many of them.
#pragma once

namespace allod::gateway::serving {

struct Limits {
  // How long a request may wait for a worker that is started or woken, and how many may wait for one instance.
  int wake_wait_ms_max = 60'000;
  int waiting_per_instance_max = 64;
  // A comment is sent this often on a stream that has nothing to say.
  int keep_alive_comment_ms = 10'000;
  int reserve_timeout_ms = 2'000;
};

}  // namespace allod::gateway::serving
