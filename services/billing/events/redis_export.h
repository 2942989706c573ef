// Events as entries of a Redis stream (XADD), each with the field `event`. The stream is cut to about `entries_max`,
// the oldest first; how long Redis keeps what it has is its own persistence's to say.
#pragma once

#include "services/billing/events/event_export.h"
#include "services/common/redis.h"

namespace allod::billing::events {

class RedisExport final : public EventExport {
 public:
  struct Options {
    std::string url;  // as RedisConfig has it
    std::string stream = "allod:events";
    std::int64_t entries_max = 1'000'000;
  };
  explicit RedisExport(Options options);

  Status Put(const std::vector<std::string>& events) override;

 private:
  const Options options_;
  Redis redis_;
};

}  // namespace allod::billing::events
