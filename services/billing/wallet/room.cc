#include "services/billing/wallet/room.h"

#include "services/billing/wallet/balance_watch.h"
#include "services/billing/wallet/pg_wallet_store.h"
#include "services/billing/wallet/wallet_service.h"

namespace allod::billing::wallet {
namespace {

class WalletRoom final : public Room {
 public:
  explicit WalletRoom(const Shared& shared)
      : store_(shared.desk, shared.reports),
        service_(store_, shared.clock, shared.gates),
        balances_(store_, shared.clock) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }
  void Start() override { balances_.Start(); }
  void Stop() override { balances_.Stop(); }

 private:
  PgWalletStore store_;
  WalletServiceImpl service_;
  BalanceWatch balances_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<PlainRoomPlan<WalletRoom>>(); }

}  // namespace allod::billing::wallet
