"""The words both sides share: rows, orders, states, errors, messages. Imports nothing of ours."""
