// Rooms as the program has them. What a room needs of the configuration and of the sandbox, and what it serves and
// runs, is in its room.cc; rooms.cc lists them; main.cc knows no more of them than this.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "services/billing/call_gates.h"
#include "services/billing/pg_store.h"
#include "services/billing/recall_hub.h"
#include "services/billing/typesetting/typesetter.h"
#include "services/common/clock.h"
#include "services/common/pg/service_config.h"
#include "services/common/sandbox/service.h"

namespace allod::billing {

// What rooms may use; it outlives them.
struct Shared {
  const ServiceConfig& config;
  PgPool& desk;
  PgPool& reports;
  PgStore& store;
  typesetting::Typesetter& typesetter;
  const Clock& clock;
  CallGates& gates;
  RecallHub& recalls;
};

// A pool for what must not wait behind others, with at most so many connections of its own.
inline PgConfig OwnPool(PgConfig database, int connections_max, const char* name) {
  database.connections_max = connections_max;
  database.application_name = name;
  return database;
}

// By one thread.
class Room {
 public:
  virtual ~Room() = default;
  // They answer from before Start() until after Stop().
  virtual std::vector<grpc::Service*> services() { return {}; }
  virtual void Start() {}  // its threads
  virtual void Stop() {}   // joins them; idempotent
};

// A room before it is made.
class RoomPlan {
 public:
  virtual ~RoomPlan() = default;
  // Its fields of the configuration; complaints stay with the reader.
  virtual void Read(ConfigReader& /*reader*/) {}
  virtual void AddNeeds(sandbox::ServiceNeeds& /*needs*/) const {}
  virtual Result<std::unique_ptr<Room>> Make(const Shared& shared) const = 0;
};

// Of a room without a configuration.
template <typename AnyRoom>
class PlainRoomPlan final : public RoomPlan {
 public:
  Result<std::unique_ptr<Room>> Make(const Shared& shared) const override {
    return std::unique_ptr<Room>(std::make_unique<AnyRoom>(shared));
  }
};

}  // namespace allod::billing
