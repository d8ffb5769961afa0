"""Agents are made in threads too."""

from concurrent.futures import ThreadPoolExecutor

from satbox.agent.keystore import new_agent


def test_agents_are_made_side_by_side() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(new_agent, [f"agent-{number}" for number in range(8)]))
    assert len({agent.testnet.btc for agent in made}) == len(made)
